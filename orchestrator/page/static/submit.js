// The form that submits savepaths.

import {request} from "./api.js";
import {count} from "./format.js";

const TOGETHER = 5000;
const OUTCOMES = {
  new: "new",
  changed: "changed since",
  again: "queued again",
  known: "already on the way",
  done: "done already",
  missing: "done, but gone from the bucket",
};

const LONGEST_NAMED = 80;
const shortened = (text) => (text.length <= LONGEST_NAMED ? text : `${text.slice(0, LONGEST_NAMED)}…`);

/** How to transcribe, as the form says. */
export function chosenOptions() {
  const value = (name) => document.getElementById(name).value;
  const checked = (name) => document.getElementById(name).checked;
  return {
    ...(value("language") && {language: value("language")}),
    ...(value("priority") && {priority: Number(value("priority"))}),
    ...(checked("words") && {word_timestamps: true}),
    ...(checked("force") && {force: true}),
  };
}

export function watchSubmission(submitted) {
  const form = document.getElementById("submit");
  if (!form) return; // the reader may only look
  const said = document.getElementById("submitted");
  const button = form.querySelector("button[type=submit]");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const savepaths = [...new Set(document.getElementById("savepaths").value.split("\n").map((line) => line.replace(/\r$/, "")))].filter((line) => line.trim());
    if (!savepaths.length) return;
    const options = chosenOptions();
    const outcomes = {};
    let taken = 0;
    button.disabled = true;
    said.className = "";
    try {
      for (; taken < savepaths.length; taken += TOGETHER) {
        said.textContent = taken ? `${count(taken)} of ${count(savepaths.length)} …` : "Submitting …";
        const body = {savepaths: savepaths.slice(taken, taken + TOGETHER), ...options};
        const {jobs} = await request("/api/jobs", {method: "POST", body});
        for (const {outcome} of jobs) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      }
      said.textContent = Object.entries(outcomes).map(([outcome, jobs]) => `${count(jobs)} ${OUTCOMES[outcome]}`).join(", ");
      document.getElementById("savepaths").value = "";
    } catch (failure) {
      // What was taken is submitted; what is left stays in the form, to be corrected or tried again.
      document.getElementById("savepaths").value = savepaths.slice(taken).join("\n");
      said.className = "error";
      const inWords = (_, number) => shortened(savepaths[taken + Number(number)]);
      said.textContent = failure.message.replaceAll(/\bsavepaths\.(\d+)(?=: )/g, inWords);
    }
    button.disabled = false;
    submitted();
  });
}
