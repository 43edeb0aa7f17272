// The chart of the last day: hours of audio in an hour, a bar for each quarter of an hour.

import {request} from "./api.js";
import {count, decimal, timeOfDay} from "./format.js";

const HEIGHT = 120;
const AGAIN_MILLISECONDS = 60000;

/** Load uPlot and its sheet: after the page, which is shown without waiting for them. */
function load() {
  const address = (name) => new URL(name, import.meta.url).href;
  const sheet = Object.assign(document.createElement("link"), {rel: "stylesheet", href: address("uPlot.min.css")});
  const script = Object.assign(document.createElement("script"), {src: address("uPlot.iife.min.js")});
  document.head.append(sheet, script);
  return Promise.all([sheet, script].map((element) => new Promise((loaded, failed) => {
    element.onload = loaded;
    element.onerror = failed;
  })));
}

export function watchThroughput() {
  const library = load();
  const box = document.getElementById("chart");
  const caption = document.getElementById("chart-caption");
  let chart = null, latest = null;

  async function read() {
    let again = AGAIN_MILLISECONDS;
    try {
      if (document.visibilityState === "visible") {
        latest = await request("/api/throughput");
        await library;
        if (!latest.complete) again = 300;
        show();
      }
    } catch {
      // The header says that the connection is gone.
    }
    setTimeout(read, again);
  }

  function show() {
    const {since, interval_seconds, audio_seconds, jobs} = latest;
    const start = new Date(since) / 1000;
    const times = audio_seconds.map((_, number) => start + number * interval_seconds);
    const hours = audio_seconds.map((seconds) => seconds / interval_seconds);
    const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
    const done = sum(jobs);
    caption.textContent = "Hours of audio an hour, in the last 24 hours: " +
      (done ? `${decimal(sum(audio_seconds) / 3600)} h in ${count(done)} ${done === 1 ? "job" : "jobs"}` : "none was finished");
    if (chart) chart.setData([times, hours]);
    else chart = draw([times, hours]);
  }

  function draw(data) {
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const axis = {stroke: colour("--quiet"), grid: {stroke: colour("--line"), width: 1}, ticks: {show: false}, font: "12px system-ui"};
    return new uPlot({
      width: box.clientWidth,
      height: HEIGHT,
      cursor: {show: false},
      legend: {show: false},
      padding: [8, 20, 0, 0],
      // The last bar begins at the last time, and is as wide as the others.
      scales: {x: {range: (_, first, last) => [first, last + latest.interval_seconds]}, y: {range: (_, low, high) => [0, Math.max(1, high * 1.05)]}},
      axes: [
        {...axis, grid: {show: false}, size: 24, values: (_, times) => times.map((seconds) => timeOfDay(seconds * 1000))},
        {...axis, size: 44, space: 30, values: (_, hours) => hours.map(decimal)},
      ],
      series: [{}, {fill: colour("--accent"), width: 0, points: {show: false}, paths: uPlot.paths.bars({size: [0.8, 20], align: 1})}],
    }, data, box);
  }

  new ResizeObserver(() => chart?.setSize({width: box.clientWidth, height: HEIGHT})).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    chart?.destroy();
    chart = null;
    if (latest) show();
  });
  read();
}
