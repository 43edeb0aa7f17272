// A row of the table of jobs. The pattern of all rows, <template id="row">, is made by job_row.html, which also makes
// those that come with the page; page/job_row.py puts the same words into it.

import {pathOf} from "./api.js";
import {clock, count, duration, localTime, one} from "./format.js";

const pattern = document.getElementById("row").content.querySelector("tr");
const ACTIONS = {queued: "cancel", running: "cancel", waiting: "cancel", failed: "retry", cancelled: "retry"};
const LABELS = {cancel: "Cancel", retry: "Retry"};

export const newRow = () => pattern.cloneNode(true);

/** Show a job in a row. What has not changed is not touched: a selection or the focus in it stays. */
export function fillRow(row, job, defaultBucket) {
  const field = (name) => row.querySelector(`[data-field="${name}"]`);
  const say = (name, text, hide = false) => {
    const element = field(name);
    if (element.textContent !== text) element.textContent = text;
    if (hide) element.hidden = !text;
  };
  row.dataset.job = job.id;
  row.dataset.state = job.state;
  const foreign = job.bucket !== defaultBucket;
  say("state", job.state);
  say("savepath", job.savepath);
  field("savepath").setAttribute(
    "href", pathOf("/media/", job.savepath) + (foreign ? `?bucket_name=${encodeURIComponent(job.bucket)}` : ""));
  field("savepath").title = job.savepath;
  say("title", job.title ?? "", true);
  say("bucket", foreign ? job.bucket : "", true);
  say("note", noteOf(job), true);
  field("note").className = job.state === "failed" ? "error" : "remark";

  const length = job.declared_seconds || (job.state === "done" ? job.progress_seconds : 0);
  const bar = field("bar");
  bar.hidden = !length || job.progress_seconds >= length;
  bar.max = length || 1;
  bar.value = Math.min(job.progress_seconds, length);
  say("audio", audioOf(job, length));
  say("speed", job.speed ? `${one(job.speed)} ×` : "");
  say("model", job.model ?? "");
  say("language", (job.language ?? "") + (job.language_uncertain ? "?" : ""));
  say("attempts", job.attempt ? count(job.attempt) : "");
  field("age").dateTime = job.created_at;
  showAge(row);

  const button = row.querySelector("[data-action]");
  if (!button) return; // the reader may only look
  const action = ACTIONS[job.state] ?? "";
  if (button.dataset.action !== action) {
    button.dataset.action = action;
    if (action) button.textContent = LABELS[action];
    button.hidden = !action;
  }
  button.setAttribute("aria-label", `${button.textContent} ${job.savepath}`);
}

/** Show how long ago a job was submitted, and when as a tooltip. */
export function showAge(row) {
  const time = row.querySelector('[data-field="age"]');
  const age = duration((Date.now() - new Date(time.dateTime)) / 1000);
  if (time.textContent !== age) time.textContent = age;
  time.title = localTime(time.dateTime);
}

function noteOf(job) {
  if (job.error) return job.error.message;
  if (job.complete === false) return `incomplete: ${job.reason ?? "no reason is known"}`;
  return job.object_removed_at ? "its recording is gone from the bucket" : "";
}

function audioOf(job, length) {
  if (job.state === "done") return clock(job.progress_seconds);
  if (!job.progress_seconds) return length ? clock(length) : "";
  return length ? `${clock(job.progress_seconds)} of ${clock(length)}` : `${clock(job.progress_seconds)} so far`;
}
