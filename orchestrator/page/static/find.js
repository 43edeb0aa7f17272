// Find in this transcript: all hits are painted, and shown one after the other.

import {rangeOf, textOf} from "./transcript.js";

const MOST_PAINTED = 2000;
const highlights = globalThis.CSS?.highlights;

export class Find {
  #transcript;
  #field;
  #said;
  #follow;
  #hits = [];
  #number = -1;
  #changed;

  /** `changed` is called with the times of all hits. */
  constructor(transcript, form, follow, changed) {
    this.#transcript = transcript;
    this.#follow = follow;
    this.#changed = changed;
    this.#field = form.querySelector("input");
    this.#said = form.querySelector("output");
    this.#field.addEventListener("input", () => this.look());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.step(1);
    });
    this.#field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault();
        this.step(-1);
      } else if (event.key === "Escape") {
        this.clear();
        this.#field.blur();
      }
    });
  }

  focus() {
    this.#field.focus();
    this.#field.select();
  }

  clear() {
    if (!this.#field.value) return;
    this.#field.value = "";
    this.look();
  }

  /** Find what the field holds, from the spoken line on. */
  look() {
    const wanted = plain(this.#field.value.replace(/["*“”„«»]/g, " ").trim());
    this.#number = -1;
    this.#hits = this.#hitsOf([wanted]);
    if (!this.#hits.length) this.#hits = this.#hitsOf(wanted.split(/\s+/)); // as the search of all recordings does
    highlights?.delete("hit");
    if (highlights && this.#hits.length)
      highlights.set("hit", new Highlight(...this.#hits.slice(0, MOST_PAINTED).map(({line, from, to}) => rangeOf(line, from, to))));
    this.#show();
    this.#changed(this.#hits.map(({line}) => Number(line.dataset.start)));
  }

  #hitsOf(words) {
    const hits = [], terms = words.filter(Boolean);
    if (!terms.length) return hits;
    for (const line of this.#transcript.lines) {
      const said = plain(textOf(line)?.data ?? ""), before = hits.length;
      for (const term of terms)
        for (let from = said.indexOf(term); from >= 0; from = said.indexOf(term, from + term.length))
          hits.push({line, from, to: from + term.length});
      if (hits.length > before + 1) hits.push(...hits.splice(before).sort((one, other) => one.from - other.from));
    }
    return hits;
  }

  /** The next hit (1) or the one before (-1). */
  step(away) {
    if (!this.#hits.length) return;
    const {spoken} = this.#transcript;
    if (this.#number < 0 && spoken && away > 0) {
      const start = Number(spoken.dataset.start);
      this.#number = this.#hits.findIndex(({line}) => Number(line.dataset.start) >= start) - 1;
    }
    this.#number = (Math.max(-1, this.#number) + away + this.#hits.length) % this.#hits.length;
    this.#show();
    this.#follow.leaveFor(this.#hits[this.#number].line);
  }

  #show() {
    const hit = this.#hits[this.#number];
    highlights?.delete("hit-shown");
    if (hit) highlights?.set("hit-shown", new Highlight(rangeOf(hit.line, hit.from, hit.to)));
    const many = this.#hits.length;
    if (!this.#field.value.trim()) this.#said.textContent = "";
    else if (!many) this.#said.textContent = "not found";
    else this.#said.textContent = hit ? `${this.#number + 1} of ${many}` : `${many} found`;
  }
}

/** Text as it is compared, with each character in its place. */
function plain(text) {
  const folded = text.toLowerCase();
  return folded.length === text.length ? folded : text;
}
