// The requests that change what a recording says, and what they change in the transcript that is shown.

import {request} from "./api.js";

const SEGMENTS_PER_READ = 1000;

export class Edits {
  #transcript;
  #segments;
  #address;
  #bucket;
  #job;
  #changed;

  /** `address` is that of the edits, `segments` that of the text; `changed` is called with the title after each change. */
  constructor(transcript, {address, segments, job, revision}, changed) {
    const {pathname, searchParams} = new URL(address, location.href);
    this.#transcript = transcript;
    this.#segments = segments;
    this.#address = pathname;
    this.#bucket = searchParams.get("bucket_name");
    this.#job = job;
    this.#changed = changed;
    this.revision = revision;
  }

  /** Write segments in place of those between two times, as they were at a revision; the lines that are shown for them.
   *  Throws a Failure. */
  async write(start, end, segments, revision) {
    return this.#take(await this.#post("", {job: this.#job, base_revision: revision, start, end, segments}));
  }

  /** Undo an edit, or the newest; its lines. */
  async undo(revision) {
    return this.#take(await this.#post("/undo", revision ? {revision} : {}));
  }

  async rename(title) {
    await this.#take(await this.#post("/title", {title}));
  }

  /** The newest edits. */
  async history() {
    const bucket = this.#bucket ? `?bucket_name=${encodeURIComponent(this.#bucket)}` : "";
    return (await request(this.#address + bucket)).edits;
  }

  /** Read all of the text again: others have edited it. */
  async readAgain() {
    const all = [];
    let after = -1, title = null;
    while (after !== null) {
      const page = await request(`${this.#segments}&after=${after}&limit=${SEGMENTS_PER_READ}`);
      all.push(...page.segments);
      ({revision: this.revision, title} = page.job);
      after = page.next;
    }
    this.#transcript.replace(-Infinity, Infinity, all);
    this.#changed(title);
  }

  #post(ending, body) {
    return request(this.#address + ending, {method: "POST", body: this.#bucket ? {...body, bucket_name: this.#bucket} : body});
  }

  async #take({revision, title, edit, segments}) {
    const isNext = revision === this.revision + 1;
    this.revision = revision;
    const lines = edit.start === null ? [] : this.#transcript.replace(edit.start, edit.end, segments);
    this.#changed(title);
    if (isNext) return lines;
    await this.readAgain();
    return edit.start === null ? [] : [this.#transcript.at(edit.start)].filter(Boolean);
  }
}
