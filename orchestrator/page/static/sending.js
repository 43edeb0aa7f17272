// One file on its way: what breaks is resumed where it stopped, also by a page that is opened later.

import {Failure, request, signIn} from "./api.js";

const PIECE_BYTES = 8 << 20;
const STALL_MILLISECONDS = 60000;
const LONGEST_PAUSE_SECONDS = 30;
const PASSING_STATUSES = [0, 429, 502, 503, 504];
const PASSING_CODES = ["wrong_offset", "in_use"];
const THERE_STATUSES = [412, 304]; // the second of MinIO before April 2024
const NAME = "reelscribe.uploads";
const MOST_REMEMBERED = 50;

export class Sending {
  #file;
  #savepath;
  #options;
  #shown;
  #key;
  #address = null;
  #isDirect = false;
  #sent = 0;
  #stop = new AbortController();

  /** `shown.progress` is called with the bytes that have been sent, `shown.say` with a sentence. */
  constructor(file, savepath, options, shown) {
    this.#file = file;
    this.#savepath = savepath;
    this.#options = options;
    this.#shown = shown;
    this.#key = [savepath, file.size, file.lastModified].join("\n");
  }

  /** Send it, and have it submitted; the job. Throws a Failure if trying again does not help by itself. */
  async run(overwrite) {
    if (!this.#file.size) throw new Failure(400, "empty", "The file is empty");
    for (let pause = 1; ; pause = Math.min(LONGEST_PAUSE_SECONDS, pause * 2)) {
      const before = this.#sent;
      try {
        return await this.#attempt(overwrite);
      } catch (failure) {
        if (this.#stop.signal.aborted || !isPassing(failure)) throw failure;
        await this.#checkReadable();
        if (this.#sent > before) pause = 1;
        if (failure.code === "in_use") pause = LONGEST_PAUSE_SECONDS; // another tab sends it: let it
        this.#shown.say(`${failure.message}. It resumes by itself.`);
        await this.#rest(pause);
      }
    }
  }

  /** Stop, and have what has arrived removed. */
  cancel() {
    this.#stop.abort();
    if (this.#address) request(this.#address, {method: "DELETE"}).catch(() => {}); // else it expires
    this.#forget();
  }

  async #attempt(overwrite) {
    const upload = await this.#announce(overwrite);
    let job = null;
    if (upload.job === null) {
      if (upload.put) job = await this.#put(upload);
      else await this.#send(upload);
      this.#shown.progress(this.#file.size);
    }
    job ??= await this.#done(overwrite);
    this.#forget();
    return job;
  }

  /** What the service knows of this file; if it knows nothing, it is announced. */
  async #announce(overwrite) {
    if (this.#isDirect && overwrite) {
      await request(this.#address, {method: "DELETE"}).catch(() => {});
      this.#forget(); // its link does not replace anything
    }
    this.#address ??= remembered()[this.#key] ?? null;
    let upload = null;
    if (this.#address) {
      try {
        upload = await this.#request(this.#address);
      } catch (failure) {
        if (failure.status !== 404) throw failure;
        this.#forget();
      }
    }
    if (!upload) {
      const {force, ...options} = this.#options;
      const body = {savepath: this.#savepath, bytes: this.#file.size, overwrite, ...options};
      upload = await this.#request("/api/uploads", {method: "POST", body});
      this.#address = upload.upload;
      remember(this.#key, this.#address);
    }
    this.#isDirect = upload.put !== null;
    return upload;
  }

  async #send({offset}) {
    for (this.#sent = offset; this.#sent < this.#file.size; ) {
      const piece = this.#file.slice(this.#sent, this.#sent + PIECE_BYTES);
      const headers = {"Upload-Offset": String(this.#sent), "Content-Type": "application/octet-stream"};
      const answer = await this.#transfer("PATCH", this.#address, piece, headers, this.#sent);
      if (answer.status === 401) signIn();
      if (answer.status !== 204) throw failureOf(answer);
      this.#sent = Number(answer.getResponseHeader("Upload-Offset"));
    }
  }

  /** Straight to MinIO, in one piece; the job, if it turns out that this has been done already. */
  async #put({put}) {
    this.#sent = 0;
    const {origin} = new URL(put.url);
    let answer;
    try {
      answer = await this.#transfer("PUT", put.url, this.#file, put.headers, 0);
    } catch (failure) {
      if (failure.status === 0) failure.message = `No connection to ${origin}, or it does not admit this page`;
      throw failure;
    }
    if (THERE_STATUSES.includes(answer.status)) return this.#doneBefore();
    if (answer.status >= 300)
      throw new Failure(answer.status, "refused", `MinIO at ${origin} does not take it (HTTP ${answer.status})`);
    return null;
  }

  /** There is such an object: it may be this file, if the answer to an earlier attempt was lost. */
  async #doneBefore() {
    try {
      return await this.#done(false);
    } catch (failure) {
      if (failure.code !== "upload_incomplete") throw failure;
      throw new Failure(409, "object_exists", "The bucket has an object of this name already");
    }
  }

  #done(overwrite) {
    return this.#request(`${this.#address}/done${overwrite ? "?overwrite=true" : ""}`, {method: "POST"});
  }

  #request(path, options = {}) {
    return request(path, {...options, signal: this.#stop.signal});
  }

  /** fetch() reports no progress of what is sent. */
  #transfer(method, url, body, headers, before) {
    const {signal} = this.#stop;
    return new Promise((answered, failed) => {
      const call = new XMLHttpRequest();
      let stall;
      const wait = () => {
        clearTimeout(stall);
        stall = setTimeout(() => call.abort(), STALL_MILLISECONDS);
      };
      const abort = () => call.abort();
      call.open(method, url);
      for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
      call.upload.addEventListener("progress", ({loaded}) => {
        wait();
        this.#shown.progress(Math.min(before + loaded, this.#file.size - 1)); // the last byte counts when it is answered
      });
      call.addEventListener("load", () => answered(call));
      call.addEventListener("error", () => failed(new Failure(0, "offline", "No connection")));
      call.addEventListener("abort", () => failed(new Failure(0, "offline", "The connection has stalled")));
      call.addEventListener("loadend", () => {
        clearTimeout(stall);
        signal.removeEventListener("abort", abort);
      });
      signal.addEventListener("abort", abort);
      wait();
      call.send(body);
    });
  }

  /** A file that can no longer be read fails like a connection. */
  async #checkReadable() {
    try {
      await this.#file.slice(this.#sent, this.#sent + 1).arrayBuffer();
    } catch {
      throw new Failure(0, "unreadable", "The file cannot be read: it was changed, moved or removed after it was chosen");
    }
  }

  #rest(seconds) {
    return new Promise((rested) => {
      const end = () => {
        clearTimeout(timer);
        removeEventListener("online", end);
        rested();
      };
      const timer = setTimeout(end, seconds * 1000);
      addEventListener("online", end);
      this.#stop.signal.addEventListener("abort", end);
    });
  }

  #forget() {
    this.#address = null;
    this.#isDirect = false;
    remember(this.#key, undefined);
  }
}

const isPassing = ({status, code}) => PASSING_STATUSES.includes(status) || PASSING_CODES.includes(code);

function failureOf(answer) {
  let error;
  try {
    ({error} = JSON.parse(answer.responseText));
  } catch {
    error = {code: "unknown", message: `Reelscribe answered ${answer.status}`}; // a proxy, perhaps
  }
  const {code, message, ...details} = error;
  return new Failure(answer.status, code, message, details);
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(NAME)) ?? {};
  } catch {
    return {}; // not allowed, or not ours
  }
}

function remember(key, address) {
  const {[key]: _, ...others} = remembered();
  const kept = Object.entries(others).slice(1 - MOST_REMEMBERED);
  try {
    localStorage.setItem(NAME, JSON.stringify(Object.fromEntries(address ? [...kept, [key, address]] : kept)));
  } catch {
    // then a page that is opened later begins again
  }
}
