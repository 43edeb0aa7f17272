// The map of a recording: where there is speech, its waveform if that is known, hits, and where the player is. It is a
// slider: a click, a drag or the arrow keys move the player.

import {clock} from "./format.js";

const STEPS = {ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5, PageDown: -60, PageUp: 60};

export class SpeechMap {
  #box;
  #canvas;
  #playhead;
  #pointed;
  #speech = {starts: [], ends: []};
  #peaks = null;
  #hits = [];
  #isDrawing = false;
  #second = -1;
  #pixel = 0;
  #seconds = 0; // where the player is
  #width = 0;

  constructor(box, seek) {
    this.length = 0; // seconds
    this.#box = box;
    this.#canvas = box.querySelector("canvas");
    this.#playhead = box.querySelector(".playhead");
    this.#pointed = box.querySelector(".pointed");
    new ResizeObserver(() => {
      this.#width = this.#canvas.clientWidth;
      this.#draw();
      this.move(this.#seconds);
    }).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    this.#listen(seek);
  }

  #listen(seek) {
    const box = this.#box;
    box.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      box.setPointerCapture(event.pointerId);
      seek(this.#secondsAt(event));
    });
    box.addEventListener("pointermove", (event) => {
      if (box.hasPointerCapture(event.pointerId)) seek(this.#secondsAt(event));
      this.#pointed.hidden = false;
      this.#pointed.textContent = clock(this.#secondsAt(event));
      this.#pointed.classList.toggle("left", this.#share(event) > 0.5);
      this.#pointed.style.insetInlineStart = `${100 * this.#share(event)}%`;
    });
    box.addEventListener("pointerleave", () => (this.#pointed.hidden = true));
    box.addEventListener("keydown", (event) => {
      const now = Number(box.getAttribute("aria-valuenow"));
      const wanted = {Home: 0, End: this.length}[event.key] ?? now + STEPS[event.key];
      if (Number.isNaN(wanted) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      seek(Math.min(Math.max(0, wanted), this.length));
    });
  }

  #share({clientX}) {
    const {left, width} = this.#box.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - left) / width));
  }

  #secondsAt(event) {
    return this.#share(event) * this.length;
  }

  /** Draw speech between these times; `length` is that of the recording. */
  show(speech, length) {
    this.#speech = speech;
    this.length = length;
    this.#box.setAttribute("aria-valuemax", Math.round(length));
    this.#draw();
  }

  /** Draw a waveform: `min` and `max` of each stretch, of `seconds` in all. */
  showPeaks(peaks) {
    this.#peaks = peaks;
    this.#draw();
  }

  get hasWaveform() {
    return this.#peaks !== null;
  }

  /** Mark these times. */
  mark(hits) {
    this.#hits = hits;
    this.#draw();
  }

  /** The player is here; it is called on each frame. */
  move(seconds) {
    const share = this.length ? Math.min(1, seconds / this.length) : 0;
    const pixel = Math.round(share * this.#width * devicePixelRatio);
    if (pixel !== this.#pixel) this.#playhead.style.transform = `translateX(${pixel / devicePixelRatio}px)`;
    this.#pixel = pixel;
    const second = Math.round(seconds);
    if (second === this.#second) return;
    this.#second = second;
    this.#box.setAttribute("aria-valuenow", second);
    this.#box.setAttribute("aria-valuetext", `${inWords(second)} of ${inWords(Math.round(this.length))}`);
  }

  #draw() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#paint();
    });
  }

  #paint() {
    const {clientWidth: width, clientHeight: height} = this.#canvas;
    if (!width || !this.length) return;
    const scale = devicePixelRatio;
    const columns = Math.round(width * scale), rows = Math.round(height * scale);
    Object.assign(this.#canvas, {width: columns, height: rows});
    const context = this.#canvas.getContext("2d");
    const colour = (name) => getComputedStyle(this.#box).getPropertyValue(name).trim();
    const column = (seconds) => Math.floor((seconds / this.length) * columns);
    const spoken = new Uint8Array(columns);
    const {starts, ends} = this.#speech;
    starts.forEach((start, line) => spoken.fill(1, column(start), Math.max(column(start) + 1, column(ends[line]))));
    for (const [isSpoken, name] of [[0, "--silence"], [1, "--speech"]]) {
      context.fillStyle = colour(name);
      for (let x = 0; x < columns; x++) {
        if (spoken[x] !== isSpoken) continue;
        const tall = Math.max(scale, this.#height(x / columns, (x + 1) / columns, isSpoken) * rows);
        context.fillRect(x, (rows - tall) / 2, 1, tall);
      }
    }
    context.fillStyle = colour("--hit");
    for (const hit of this.#hits) context.fillRect(column(hit), 0, Math.max(2, 2 * scale), rows);
  }

  /** How tall the sound is between two shares of the recording, from 0 to 1. */
  #height(from, to, isSpoken) {
    if (!this.#peaks) return isSpoken ? 0.6 : 0;
    const {min, max, seconds, loudest} = this.#peaks;
    const first = Math.floor((from * this.length * max.length) / seconds);
    const last = Math.max(first + 1, Math.ceil((to * this.length * max.length) / seconds));
    let tall = 0;
    for (let point = first; point < last && point < max.length; point++) tall = Math.max(tall, max[point] - min[point]);
    return (0.94 * tall) / loudest;
  }
}

function inWords(seconds) {
  const parts = [[Math.floor(seconds / 3600), "hour"], [Math.floor(seconds / 60) % 60, "minute"], [seconds % 60, "second"]];
  const said = parts.filter(([number]) => number).map(([number, unit]) => `${number} ${unit}${number === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
}
