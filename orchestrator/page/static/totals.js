// The figures of the queue; page/home.py writes the same ones into the page.

import {request} from "./api.js";
import {count, decimal, duration} from "./format.js";

const APART_MILLISECONDS = 2000;

export class Totals {
  /** `read` gets each answer of /api/status. */
  constructor(read) {
    this.read = read;
    this.last = 0;
    setInterval(() => document.visibilityState === "visible" && this.refresh(), 30000);
  }

  /** Read the figures, not more often than they matter. */
  refresh() {
    this.timer ??= setTimeout(async () => {
      this.last = Date.now();
      try {
        const status = await request("/api/status");
        this.show(status);
        this.read(status);
      } catch {
        // The header says that the connection is gone.
      }
      this.timer = null;
    }, Math.max(0, this.last + APART_MILLISECONDS - Date.now()));
  }

  show({totals, done_seconds, speed, oldest_seconds, eta_seconds, workers, no_transcriber, buckets_away, paused}) {
    const of = (state) => totals[state] ?? 0;
    const unfinished = of("queued") + of("waiting") + of("running");
    const figures = {
      running: count(of("running")),
      waiting: count(of("queued") + of("waiting")),
      failed: count(of("failed")),
      done: count(of("done")),
      audio: `${decimal(done_seconds / 3600)} h`,
      speed: speed ? `${decimal(speed)} h` : "–",
      oldest: oldest_seconds === null ? "–" : duration(oldest_seconds),
      left: eta_seconds !== null && unfinished ? duration(eta_seconds) : "–",
    };
    const away = Object.entries(buckets_away).map(([name, reason]) => `bucket ${name} cannot be read now: ${reason}`);
    const held = paused.jobs >= unfinished ? "All that waits is paused." : "";
    const blocked = no_transcriber || (workers ? away.join("; ") || held : "No worker is running, so no job begins.");
    const idle = unfinished ? blocked : "";
    const note = document.getElementById("idle");
    if (note.textContent !== idle) note.textContent = idle;
    note.hidden = !idle;
    for (const [name, value] of Object.entries(figures)) {
      const element = document.querySelector(`[data-figure="${name}"]`);
      if (element.textContent !== value) element.textContent = value;
    }
  }
}
