// What the page of a recording has only once its job is done. The server makes it: it is read from there, and put in place.

import {localTimes} from "./format.js";

/** Show what is known of a finished job, by its id: its facts and receipt, its files, and captions. Gives `#recording` as
 *  the server makes it now; null if the job has not ended. */
export async function showFinished(job) {
  const page = await readAbove(job), recording = page.getElementById("recording");
  if (recording?.dataset.state !== "done") return null;
  for (const selector of [".facts", ".sheets"]) {
    const made = page.querySelector(selector), shown = document.querySelector(selector);
    for (const {id} of shown.querySelectorAll("details[open]")) page.getElementById(id).open = true;
    shown.replaceWith(made);
    localTimes(made);
  }
  for (const note of page.querySelectorAll(".about > .note")) document.getElementById("state").before(note);
  const video = document.querySelector("#player video"), track = page.querySelector("track");
  if (video && track && !video.querySelector("track")) video.append(track);
  return recording;
}

/** The page as it would be opened now, down to its transcript, which is here already. */
async function readAbove(job) {
  const query = new URLSearchParams(location.search);
  query.set("job", job);
  const answer = await fetch(`${location.pathname}?${query}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part; !text.includes('id="lines"') && !(part = await reader.read()).done; ) text += part.value;
  reader.cancel();
  return new DOMParser().parseFromString(text, "text/html");
}
