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

const MOST_REFUSED = 1000; // of one submission; more are a list of something else
const MOST_SAID = 20;
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

/** Why some of these were refused, by savepath; empty if a failure is about anything else. */
function refusedOf(failure, savepaths) {
  const sentences = failure.message.replace(/; and [\d,]+ more$/, "").split(/(?:^|; )(?=savepaths\.\d+: )/);
  const found = sentences.map((sentence) => sentence.match(/^savepaths\.(\d+): (.*)$/s)).filter(Boolean);
  const only = failure.details?.fields?.every((field) => /^savepaths\.\d+$/.test(field));
  return new Map(only ? found.map(([, number, reason]) => [savepaths[Number(number)], reason]) : []);
}

function inWords(outcomes, refused) {
  const jobs = Object.entries(outcomes).map(([outcome, number]) => `${count(number)} ${OUTCOMES[outcome]}`).join(", ");
  const reasons = [...refused].slice(0, MOST_SAID).map(([savepath, reason]) => `${shortened(savepath)}: ${reason}`);
  const more = refused.size > MOST_SAID ? `and ${count(refused.size - MOST_SAID)} more` : "";
  return [jobs, ...reasons, more].filter(Boolean).join("; ");
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
    const refused = new Map();
    let taken = 0;
    button.disabled = true;
    said.className = "";
    try {
      while (taken < savepaths.length) {
        said.textContent = taken ? `${count(taken)} of ${count(savepaths.length)} …` : "Submitting …";
        const together = savepaths.slice(taken, taken + TOGETHER).filter((savepath) => !refused.has(savepath));
        try {
          const {jobs} = together.length ? await request("/api/jobs", {method: "POST", body: {savepaths: together, ...options}}) : {jobs: []};
          for (const {outcome} of jobs) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
          taken += TOGETHER;
        } catch (failure) {
          const reasons = refusedOf(failure, together);
          if (!reasons.size || refused.size >= MOST_REFUSED) throw failure;
          for (const [savepath, reason] of reasons) refused.set(savepath, reason);
        }
      }
      said.textContent = inWords(outcomes, refused);
      said.className = refused.size ? "error" : "";
    } catch (failure) {
      said.className = "error";
      const unknown = failure.details?.fields?.some((field) => field.startsWith("savepaths."));
      said.textContent = unknown ? inWords(outcomes, refused) : failure.message;
    }
    // What was taken is submitted; what is left stays in the form, to be corrected or tried again.
    document.getElementById("savepaths").value = savepaths.filter((savepath, place) => place >= taken || refused.has(savepath)).join("\n");
    button.disabled = false;
    submitted();
  });
}
