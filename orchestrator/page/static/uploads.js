// Files that are chosen or dropped: each is announced, sent in pieces or straight to MinIO, and submitted.

import {bytes, duration} from "./format.js";
import {Sending} from "./sending.js";
import {chosenOptions} from "./submit.js";

const id = (name) => document.getElementById(name);

/** `submitted` is called when a file has become a job. */
export function watchUploads(submitted) {
  const area = id("upload");
  if (!area) return; // the reader may only look, or no file can be stored
  const list = id("uploads");
  const waiting = [];
  let running = false;

  const sendAll = async () => {
    if (running) return;
    running = true;
    for (let row; (row = waiting.shift()); ) await row.send();
    running = false;
  };
  const add = (files) => {
    for (const file of files) {
      const row = new Row(file, savepathOf(file), chosenOptions(), () => queue(row), submitted);
      list.append(row.element);
      queue(row);
    }
  };
  const queue = (row) => {
    waiting.push(row);
    row.say("Waits for the files before it");
    sendAll();
  };

  id("files").addEventListener("change", ({target}) => {
    add(target.files);
    target.value = ""; // the same file can be chosen again
  });

  // A file that is dropped anywhere is meant for here: the browser would open it in place of this page.
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const card = area.closest(".card");
  let within = 0;
  const mark = (change) => {
    within = Math.max(0, within + change);
    card.classList.toggle("dropping", within > 0);
  };
  document.addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
  document.addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    mark(-Infinity);
    const entries = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    const folders = entries.filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length;
    const files = entries.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory).map((item) => item.getAsFile());
    id("uploaded").textContent = folders ? "A folder cannot be dropped here: drop the files in it." : "";
    add(files.filter(Boolean));
  });
}

/** Where a file goes: into the folder that is named, by its own name. */
function savepathOf(file) {
  const folder = id("folder").value.trim().replace(/\/+$/, "");
  return folder ? `${folder}/${file.name}` : file.name;
}

class Row {
  /** `again` puts it into the queue once more; `submitted` is called once it is a job. */
  constructor(file, savepath, options, again, submitted) {
    this.file = file;
    this.savepath = savepath;
    this.again = again;
    this.submitted = submitted;
    this.overwrite = false;
    this.sending = new Sending(file, savepath, options, {
      progress: (sent) => this.progress(sent),
      say: (sentence) => this.say(sentence),
    });
    this.element = id("upload-row").content.firstElementChild.cloneNode(true);
    for (const part of this.element.querySelectorAll("[data-field]")) this[part.dataset.field] = part;
    this.name.textContent = savepath;
    this.bar.max = file.size;
    this.bar.setAttribute("aria-label", `Upload of ${savepath}`);
    this.cancel.setAttribute("aria-label", `Cancel the upload of ${savepath}`);
    this.cancel.addEventListener("click", () => this.remove());
  }

  async send() {
    if (this.removed) return;
    this.element.dataset.state = "sending";
    this.choices.replaceChildren();
    this.begun = performance.now();
    this.before = null;
    try {
      const job = await this.sending.run(this.overwrite);
      this.finished(job);
    } catch (failure) {
      if (this.removed) return;
      const isThere = failure.code === "object_exists";
      this.element.dataset.state = isThere ? "asked" : "failed";
      if (isThere) this.ask();
      else this.failed(failure.message);
    }
  }

  progress(sent) {
    this.bar.value = sent;
    this.before ??= sent;
    const seconds = (performance.now() - this.begun) / 1000;
    const speed = (sent - this.before) / seconds;
    const left = seconds > 2 && speed > 0 ? `, about ${duration((this.file.size - sent) / speed)} left` : "";
    this.say(sent < this.file.size ? `${bytes(sent)} of ${bytes(this.file.size)}${left}` : "Storing it in the bucket …");
  }

  finished(job) {
    this.done = true;
    this.element.dataset.state = "done";
    this.bar.hidden = true;
    this.say(job.outcome === "new" ? "Stored, and submitted." : "Stored; it was submitted already.");
    this.cancel.textContent = "Dismiss";
    this.cancel.setAttribute("aria-label", `Dismiss ${this.savepath}`);
    id("uploaded").textContent = `${this.savepath} is stored and submitted.`;
    this.submitted();
  }

  ask() {
    this.say("The bucket has an object of this name already. Replace it?");
    this.choose("Replace", () => {
      this.overwrite = true;
      this.again();
    });
    id("uploaded").textContent = `The bucket has ${this.savepath} already.`;
  }

  failed(sentence) {
    this.say(sentence);
    this.choose("Try again", this.again);
    id("uploaded").textContent = `${this.savepath}: ${sentence}`;
  }

  choose(text, onclick) {
    const button = document.createElement("button");
    Object.assign(button, {type: "button", className: "plain small", textContent: text});
    button.setAttribute("aria-label", `${text}: ${this.savepath}`);
    button.addEventListener("click", () => {
      this.choices.replaceChildren();
      onclick();
    });
    this.choices.replaceChildren(button);
  }

  say(sentence) {
    if (this.status.textContent !== sentence) this.status.textContent = sentence;
  }

  remove() {
    this.removed = true;
    this.element.remove();
    if (!this.done) this.sending.cancel();
  }
}
