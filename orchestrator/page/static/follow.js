// Follow mode: the spoken line stays in view until the reader scrolls away, and again after "back to the spoken line".

const OURS_MILLISECONDS = 600; // a scroll within this time after ours is its end, or the browser laying out what came into view
const SCROLL_KEYS = ["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown"];
const SETTLE_FRAMES = 3;

export class Follow {
  #covers;
  #button;
  #line = null;
  #ours = -Infinity;

  /** `covers` stay at the top of the window; `button` is shown while the spoken line is not followed. */
  constructor(covers, button) {
    this.#covers = covers;
    this.#button = button;
    this.isOn = true;
    for (const event of ["wheel", "touchmove", "keydown"])
      addEventListener(event, (input) => isScroll(input) && this.#line && this.stop(), {passive: true});
    addEventListener("scroll", () => this.#scrolled(), {passive: true});
    addEventListener("resize", () => (this.#ours = performance.now()));
  }

  /** This line is spoken now. */
  to(line) {
    this.#line = line;
    if (this.isOn) this.#bring();
  }

  start() {
    this.isOn = true;
    this.#button.hidden = true;
    if (this.#line) this.#bring();
  }

  stop() {
    this.isOn = false;
    this.#button.hidden = this.#line === null;
  }

  /** Show a line that is not the spoken one: it is looked at, and no longer followed. */
  leaveFor(line) {
    this.stop();
    this.#bring(line);
  }

  /** By the scroll bar, the browser's own search, …: whatever takes the spoken line out of view. */
  #scrolled() {
    const isOurs = performance.now() - this.#ours < OURS_MILLISECONDS;
    if (this.isOn && this.#line && !isOurs && !this.#isWithin(this.#line, 0)) this.stop();
  }

  /** Top and bottom of what is not covered where this line is, once the page is scrolled. */
  #view(line) {
    const {left, right} = line.getBoundingClientRect();
    let top = 0;
    for (const cover of this.#covers) {
      const place = cover.getBoundingClientRect(), style = getComputedStyle(cover);
      if (style.position === "sticky" && place.left < right && place.right > left)
        top = Math.max(top, parseFloat(style.top) + place.height);
    }
    return [top, innerHeight];
  }

  #isWithin(line, margin) {
    const [top, bottom] = this.#view(line);
    const place = line.getBoundingClientRect();
    const room = (bottom - top) * margin;
    return place.top >= top + room && place.bottom <= bottom - room;
  }

  #bring(line = this.#line, frames = SETTLE_FRAMES) {
    if (this.#isWithin(line, 0.12)) return;
    const [top, bottom] = this.#view(line);
    const distance = line.getBoundingClientRect().top - (top + (bottom - top) * 0.3);
    const isNear = Math.abs(distance) < innerHeight && frames === SETTLE_FRAMES;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#ours = performance.now();
    scrollBy({top: distance, behavior: isNear && !isCalm ? "smooth" : "instant"});
    // Parts that come into view get their true heights, which moves all below them: look again.
    if (!isNear && frames) requestAnimationFrame(() => this.#bring(line, frames - 1));
  }
}

/** Whether this input scrolls the page. */
function isScroll({type, key, target, defaultPrevented}) {
  if (type === "keydown" && (!SCROLL_KEYS.includes(key) || defaultPrevented)) return false;
  return !target.closest?.("input, textarea, select, [role=slider], dialog");
}
