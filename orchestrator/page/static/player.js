// The player: the browser's own <video> or <audio>, with what readers of transcripts need of it.

const RATES = {least: 50, most: 300, step: 10}; // percent
const SAME_SECONDS = 0.3; // it plays on for a moment until its event comes

export class Player {
  #box;
  #length;
  #moved = [];
  #changed = [];
  #pausedAt = null;

  /** `box` holds the media element; `length` is that of the recording, in seconds, until the browser knows better. */
  constructor(box, length, rewind) {
    this.#box = box;
    this.#length = length;
    this.rewind = rewind;
    this.#use(box.querySelector("video, audio"));
  }

  get seconds() {
    return this.media.currentTime;
  }

  get length() {
    return Number.isFinite(this.media.duration) ? this.media.duration : this.#length;
  }

  get isPlaying() {
    return !this.media.paused && !this.media.ended;
  }

  /** Percent of the usual speed. */
  get speed() {
    return Math.round(this.media.playbackRate * 100);
  }

  /** Call back with the time on each frame while it plays, and whenever it is moved. */
  onMove(callback) {
    this.#moved.push(callback);
  }

  /** Call back when it starts, stops, changes its speed, or knows its length. */
  onChange(callback) {
    this.#changed.push(callback);
  }

  /** Play this; sound in place of a video if `isSound`. It stays where it is, and goes on playing. */
  load(url, isSound) {
    const {currentTime: seconds, playbackRate} = this.media, wasPlaying = this.isPlaying;
    if (isSound && this.media instanceof HTMLVideoElement) {
      const audio = document.createElement("audio");
      audio.controls = true;
      audio.setAttribute("aria-label", this.media.getAttribute("aria-label"));
      this.media.replaceWith(audio);
      this.#use(audio);
    }
    if (this.media.src !== new URL(url, location.href).href) this.media.src = url;
    this.media.preload = "metadata";
    this.media.playbackRate = playbackRate;
    if (seconds) this.media.currentTime = seconds;
    if (wasPlaying) this.play();
  }

  /** Call back, once, if the browser cannot play what it has. */
  onFailure(callback) {
    this.media.addEventListener("error", callback, {once: true});
  }

  /** Move to a time; it goes on playing, or starts to if `play` is given. */
  seek(seconds, {play = false} = {}) {
    this.#pausedAt = null;
    this.media.currentTime = Math.min(Math.max(0, seconds), this.length || seconds);
    this.#tellMoved();
    if (play) this.play();
  }

  step(seconds) {
    this.seek(this.seconds + seconds);
  }

  play() {
    this.#goBack();
    this.media.play().catch(() => {}); // the element says itself why it cannot
  }

  toggle() {
    if (!this.isPlaying) return this.play();
    this.media.pause();
    this.#pausedAt = this.media.currentTime;
  }

  /** Faster (1) or slower (-1) by a step. */
  changeSpeed(steps) {
    const wanted = Math.round(this.speed / RATES.step + steps) * RATES.step;
    this.media.playbackRate = Math.min(RATES.most, Math.max(RATES.least, wanted)) / 100;
  }

  toggleCaptions() {
    for (const track of this.media.textTracks) track.mode = track.mode === "showing" ? "hidden" : "showing";
  }

  #use(media) {
    this.media = media;
    media.addEventListener("pause", () => {
      if (media.paused) this.#pausedAt = media.ended ? null : media.currentTime;
    });
    media.addEventListener("play", () => {
      this.#goBack(); // by the browser's own control
      requestAnimationFrame(this.#frame);
    });
    for (const event of ["seeking", "seeked", "timeupdate", "loadedmetadata"])
      media.addEventListener(event, () => this.#tellMoved());
    for (const event of ["play", "pause", "ended", "ratechange", "durationchange"])
      media.addEventListener(event, () => this.#changed.forEach((tell) => tell()));
  }

  /** After a pause, go back a little, unless it was moved meanwhile. */
  #goBack() {
    const now = this.media.currentTime, wasHere = this.#pausedAt !== null && Math.abs(now - this.#pausedAt) < SAME_SECONDS;
    this.#pausedAt = null;
    if (wasHere && this.rewind()) this.media.currentTime = Math.max(0, now - this.rewind());
  }

  #frame = () => {
    this.#tellMoved();
    if (this.isPlaying) requestAnimationFrame(this.#frame);
  };

  #tellMoved() {
    for (const tell of this.#moved) tell(this.seconds);
  }
}

/** The seconds of a typed time: 83, 1:23, 1:02:03.5; NaN if it is none. */
export function parseTime(text) {
  if (!/^\s*(\d+:){0,2}\d+([.,]\d*)?\s*$/.test(text)) return NaN;
  return text.replace(",", ".").split(":").reduce((seconds, part) => seconds * 60 + Number(part), 0);
}
