// A job that has not ended: what happens to it, and its segments as they are stored.

import {request} from "./api.js";
import {follow, showConnection} from "./events.js";
import {clock} from "./format.js";

const UNFINISHED = ["queued", "running", "waiting"];

export class Live {
  #transcript;
  #address;
  #job;
  #changed;
  #finished;
  #reading = null;
  #isStale = false;
  #isFollowing = false;

  /** `job` has id, attempt and state; `address` gives its segments; `changed` is called after each change,
   *  `finished` when the job is done and its segments are read, unless it was from the beginning. */
  constructor(transcript, address, job, changed, finished) {
    this.#transcript = transcript;
    this.#address = address;
    this.#job = job;
    this.#changed = changed;
    this.#finished = finished;
    if (UNFINISHED.includes(job.state)) this.#follow();
    document.getElementById("retry")?.addEventListener("click", () => this.#retry());
  }

  #follow() {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    follow({
      opened: () => {
        showConnection(false);
        this.#read();
      },
      job: (job) => job.id === this.#job.id && this.#take(job),
      lost: () => showConnection(true),
    });
  }

  #take(job) {
    const before = this.#job;
    if (job.attempt < before.attempt) return;
    this.#job = job;
    if (job.attempt !== before.attempt) this.#transcript.removeFrom(job.progress_seconds);
    this.#show(job);
    if (job.progress_seconds === before.progress_seconds && job.state === before.state) return;
    const reading = this.#read();
    if (job.state === "done" && before.state !== "done") reading.then(() => this.#finished());
  }

  /** Read the segments that are new, one request after the other. */
  async #read() {
    this.#isStale = true;
    this.#reading ??= this.#readAll().finally(() => (this.#reading = null));
    await this.#reading;
  }

  async #readAll() {
    while (this.#isStale) {
      this.#isStale = false;
      const {attempt} = this.#job;
      try {
        const {job, segments, next} = await request(`${this.#address}&after=${this.#transcript.lastIndex}&limit=1000`);
        if (attempt !== this.#job.attempt) this.#isStale = true; // some of them may have been removed meanwhile
        else this.#transcript.add(segments);
        this.#isStale ||= next !== null;
        this.#take(job);
      } catch (failure) {
        this.#say(failure.message);
        return;
      }
    }
  }

  async #retry() {
    const said = document.getElementById("retried");
    try {
      const job = await request(`/api/jobs/${this.#job.id}/retry`, {method: "POST"});
      said.textContent = "";
      this.#follow();
      this.#take(job);
    } catch (failure) {
      said.textContent = failure.message;
    }
  }

  #say(sentence) {
    document.getElementById("situation").textContent = sentence;
  }

  #show(job) {
    const element = (id) => document.getElementById(id);
    const has = (...states) => states.includes(job.state);
    element("state").dataset.state = job.state;
    this.#say(situation(job));
    if (element("again")) element("again").hidden = !has("failed", "cancelled");
    const bar = element("progress");
    bar.hidden = !has("running", "waiting") || !job.declared_seconds;
    if (job.declared_seconds) Object.assign(bar, {max: job.declared_seconds, value: job.progress_seconds});
    element("downloads").hidden = element("receipt").hidden = !has("done");
    this.#changed(job);
  }
}

/** What happens to a job, in the words of the server (facts.py). */
function situation({state, error, progress_seconds: done, declared_seconds: all, complete, reason}) {
  const why = error?.message ?? "no reason is known";
  switch (state) {
    case "queued":
      return "It waits in the queue. The text appears here as it is made.";
    case "running":
      return `It is being transcribed: ${clock(done)}${all ? ` of ${clock(all)}` : ""} done. The text appears as it is made.`;
    case "waiting":
      return `It waits: ${why}`;
    case "failed":
      return `It failed: ${why}`;
    case "cancelled":
      return "It was cancelled.";
    default:
      return complete ? "It is done." : `It is done, but incomplete: ${reason ?? "no reason is known"}`;
  }
}
