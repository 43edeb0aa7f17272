// The transcript: its lines, which of them is spoken, and which of its words.
//
// Markup, the same from the server (lines.py) and from here (`add`): `#lines` has `.part`s of up to 100 lines.
// A part that is not in view is neither laid out nor painted (content-visibility), but find-in-page and screen readers
// find all of its text. A line is
//
//   <p class="line" data-index="12" data-start="61.5" data-end="64.2">
//     <a class="time" href="#t=61.5" tabindex="-1">1:01</a> <span class="text">What is said.</span></p>
//
// * data-index, data-start and data-end are those of the segment in GET /api/transcripts/{savepath}/segments.
// * The text of a line is exactly one text node: words, hits and unsure words are painted on ranges of it, by the CSS
//   Custom Highlight API. Whoever changes it (an editor in place) sets its data (`line.querySelector(".text")
//   .firstChild.data = …`), or replaces lines, and then calls `changed(line)`, or `reload()` after lines were added or
//   removed: words and ranges are made again.
// * data-edited is who wrote it, if that was a person.
// * A click on a line plays it, unless the click was handled (`preventDefault`), text is selected, or it was on an element
//   that takes input itself (a, button, input, textarea, [contenteditable]).
// * The spoken line has aria-current="true"; its link is the one that Tab reaches.

import {clock} from "./format.js";
import {lastAtOrBefore} from "./words.js";

const LINES_OF_A_PART = 100;
const TAKES_INPUT = "a, button, input, textarea, select, [contenteditable]";

const highlights = globalThis.CSS?.highlights;

export class Transcript {
  #root;
  #words;
  #follow;
  #starts = new Float64Array(0);
  #ends = this.#starts;
  #word = -1;
  #range = null;
  #highlight = null; // of the word
  #reached = null; // the link that Tab reaches
  #isShaded = false;
  #inView = new Set(); // parts, or nearly
  #watching;

  /** `words` are those of its lines; `follow` keeps the spoken one in view. */
  constructor(root, words, follow) {
    this.#root = root;
    this.#words = words;
    this.#follow = follow;
    this.lines = [];
    this.spoken = null; // the line
    this.#watching = new IntersectionObserver((seen) => this.#saw(seen), {rootMargin: "50% 0px"});
    this.reload();
  }

  /** Look at all lines again, after some were added or removed. */
  reload() {
    this.lines = [...this.#root.querySelectorAll(".line")];
    this.#starts = Float64Array.from(this.lines, (line) => line.getAttribute("data-start"));
    this.#ends = Float64Array.from(this.lines, (line) => line.getAttribute("data-end"));
    this.#watch();
    if (!this.#reached?.isConnected) this.#reach(this.lines[0]);
    if (this.spoken && !this.spoken.isConnected) this.spoken = null;
    this.#word = -1;
  }

  /** The text of this line is another one. */
  changed(line) {
    this.#words.forget(Number(line.dataset.index));
    this.#word = -1;
    this.#shadeAgain();
  }

  /** Add the lines of more segments of the API. */
  add(segments) {
    for (const segment of segments) {
      let part = this.#root.lastElementChild;
      if (!part || part.childElementCount >= LINES_OF_A_PART) {
        part = this.#root.appendChild(document.createElement("div"));
        part.className = "part";
      }
      part.append(lineOf(segment), "\n");
      this.#words.put(segment);
    }
    if (segments.length) this.reload();
    this.#shadeAgain();
  }

  /** Put the lines of these segments in place of those whose middle is between two times, and number all again. */
  replace(start, end, segments) {
    const isReplaced = ({dataset}) => {
      const middle = (Number(dataset.start) + Number(dataset.end)) / 2;
      return start <= middle && middle <= end;
    };
    const old = this.lines.filter(isReplaced), made = segments.map(lineOf);
    const following = old[0] ?? this.lines.find(({dataset}) => Number(dataset.start) >= start);
    if (following) following.before(...made.flatMap((line) => [line, "\n"]));
    else this.add(segments);
    for (const line of old) line.remove();
    for (const part of [...this.#root.children]) if (!part.childElementCount) part.remove();
    this.reload();
    this.lines.forEach((line, index) => (line.dataset.index = index));
    this.#words.forget(following ? Math.max(0, this.lines.indexOf(made[0])) : 0);
    this.#shadeAgain();
    return following ? made : segments.map(({start: begin}) => this.at(begin));
  }

  /** Remove the lines that begin at this time or later: they are made again. */
  removeFrom(seconds) {
    const first = lastAtOrBefore(this.#starts, seconds - 1e-6) + 1;
    for (const line of this.lines.slice(first)) line.remove();
    for (const part of [...this.#root.children]) if (!part.childElementCount) part.remove();
    this.#words.forget(first ? Number(this.lines[first - 1].dataset.index) + 1 : 0);
    this.reload();
  }

  get lastIndex() {
    return Number(this.lines.at(-1)?.dataset.index ?? -1);
  }

  /** When each line begins, and when each ends. */
  get times() {
    return {starts: this.#starts, ends: this.#ends};
  }

  /** The line that is spoken at a time, or was last; null before the first. */
  at(seconds) {
    return this.lines[lastAtOrBefore(this.#starts, seconds)] ?? null;
  }

  /** The line this many lines away from the one at a time. */
  near(seconds, away) {
    const number = lastAtOrBefore(this.#starts, seconds) + away;
    return this.lines[Math.min(Math.max(0, number), this.lines.length - 1)];
  }

  /** Show what is spoken at this time. It is called on each frame. */
  show(seconds) {
    const line = this.at(seconds);
    if (line !== this.spoken) this.#speak(line);
    if (line) this.#showWord(line, seconds);
  }

  #speak(line) {
    this.spoken?.removeAttribute("aria-current");
    this.spoken = line;
    this.#word = -1;
    highlights?.delete("word");
    if (!line) return;
    line.setAttribute("aria-current", "true");
    this.#reach(line);
    if (highlights) this.#readWords(line.parentElement).then(() => this.#readWords(line.parentElement?.nextElementSibling));
    this.#follow.to(line);
  }

  /** Have Tab lead to this line, and to no other. */
  #reach(line) {
    this.#reached?.setAttribute("tabindex", -1);
    this.#reached = line?.firstElementChild ?? null;
    this.#reached?.setAttribute("tabindex", 0);
  }

  #showWord(line, seconds) {
    const words = this.#words.of(Number(line.dataset.index));
    if (!highlights || !words) return;
    const number = words.at(seconds);
    if (number === this.#word) return;
    this.#word = number;
    const place = words.places[number];
    if (!place) return void highlights.delete("word");
    const text = textOf(line);
    this.#range ??= new Range();
    this.#range.setStart(text, Math.min(place[0], text.length));
    this.#range.setEnd(text, Math.min(place[1], text.length));
    this.#highlight ??= new Highlight(this.#range);
    if (!highlights.has("word")) highlights.set("word", this.#highlight);
  }

  async #readWords(part) {
    if (!part?.firstElementChild) return;
    await this.#words.read(...[part.firstElementChild, part.lastElementChild].map((line) => Number(line.dataset.index)));
  }

  /** When the word under a click is spoken, as well as it is known. */
  async timeOf(line, event) {
    const start = Number(line.dataset.start), length = textOf(line)?.length;
    const character = characterAt(event, textOf(line));
    if (character === null || !length) return start;
    await this.#readWords(line.parentElement);
    const words = this.#words.of(Number(line.dataset.index));
    return words ? words.startAt(character) : start + (Number(line.dataset.end) - start) * (character / length);
  }

  /** Call back with the line, the time and the link of each click that plays. */
  onPlay(play) {
    this.#root.addEventListener("click", async (event) => {
      const line = event.target.closest(".line"), link = event.target.closest(".time");
      if (!line || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      if (link) {
        event.preventDefault();
        play(line, Number(line.dataset.start), link);
      } else if (!event.target.closest(TAKES_INPUT) && getSelection().isCollapsed) {
        play(line, await this.timeOf(line, event), null);
      }
    });
    this.#root.addEventListener("keydown", (event) => this.#moveFocus(event));
  }

  #moveFocus(event) {
    const line = event.target.closest(".time")?.parentElement;
    const away = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (!line || !away) return;
    const other = this.lines[this.lines.indexOf(line) + away];
    if (!other) return;
    event.preventDefault();
    this.#reach(other);
    other.firstElementChild.focus();
  }

  /** Shade the words that the model was unsure of, or stop that. */
  shade(isWanted) {
    this.#isShaded = isWanted;
    this.#watch();
    this.#shadeAgain();
  }

  /** Know which parts are in view while words are shaded; else it would cost each frame for nothing. */
  #watch() {
    this.#watching.disconnect();
    this.#inView.clear();
    if (this.#isShaded) for (const part of this.#root.children) this.#watching.observe(part);
  }

  async #shadeAgain() {
    if (this.#isShaded) await Promise.all([...this.#inView].map((part) => this.#readWords(part)));
    highlights?.delete("unsure");
    if (!this.#isShaded || !highlights) return;
    const found = new Highlight();
    for (const part of this.#inView)
      for (const line of part.children)
        for (const [from, to] of this.#words.unsure(Number(line.dataset.index), textOf(line)?.length))
          found.add(rangeOf(line, from, to));
    highlights.set("unsure", found);
  }

  #saw(seen) {
    for (const {target, isIntersecting} of seen) {
      if (isIntersecting) this.#inView.add(target);
      else this.#inView.delete(target);
    }
    this.#shadeAgain();
  }
}

/** The one text node of a line. */
export const textOf = (line) => line.querySelector(".text")?.firstChild ?? null;

/** Some characters of a line, to be painted; it does not follow changes of the text. */
export function rangeOf(line, from, to) {
  const text = textOf(line);
  return new StaticRange({
    startContainer: text, startOffset: Math.min(from, text.length), endContainer: text, endOffset: Math.min(to, text.length),
  });
}

function lineOf({index, start, end, text, edited}) {
  const line = document.createElement("p");
  line.className = "line";
  Object.assign(line.dataset, {index, start, end});
  if (edited) line.dataset.edited = edited.author;
  const link = line.appendChild(document.createElement("a"));
  link.className = "time";
  link.href = `#t=${Math.ceil(Number((start * 100).toFixed(6))) / 100}`; // never earlier: that is the line before
  link.tabIndex = -1;
  link.textContent = clock(start);
  line.append(" ");
  const said = line.appendChild(document.createElement("span"));
  said.className = "text";
  said.textContent = text;
  return line;
}

function characterAt({clientX, clientY}, text) {
  const place = document.caretPositionFromPoint?.(clientX, clientY);
  if (place) return place.offsetNode === text ? place.offset : null;
  const range = document.caretRangeFromPoint?.(clientX, clientY);
  return range?.startContainer === text ? range.startOffset : null;
}
