// Events of all jobs, for this tab. A browser opens six connections to a host, and each stream of events takes one of
// them for as long as it runs. So all tabs share one stream, in a shared worker (events_worker.js), and it ends while no
// tab is in view. Browsers without shared workers (those of Android show one tab at a time) open one in the visible tab.

import {signIn} from "./api.js";
import {timeOfDay} from "./format.js";
import {openStream} from "./stream.js";

const HERE_MILLISECONDS = 15000;

/** Follow the events while this tab is visible. Each callback may be left out.
 *  opened(): the stream runs (again): read what may have been missed meanwhile.
 *  job(job), totals(byState): what has changed.
 *  lost(): there is no connection; a new one is tried until it works. */
export function follow({opened, job, totals, lost}) {
  const tell = ({type, data}) => ({opened, job, totals, lost, signedOut: signIn})[type]?.(data);
  const source = window.SharedWorker ? inWorker(tell) : inTab(tell);
  const look = () => source.visible(document.visibilityState === "visible");
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => source.visible(false));
  addEventListener("pageshow", look);
  look();
}

let lostAt = null;

/** Say in the header that there is no connection, and since when, until there is one again. */
export function showConnection(lost) {
  lostAt = lost ? (lostAt ?? Date.now()) : null;
  document.getElementById("connection").textContent = lost ? `No connection since ${timeOfDay(lostAt)}; trying again …` : "";
}

function inWorker(tell) {
  const {port} = new SharedWorker(new URL("events_worker.js", import.meta.url), {type: "module", name: "reelscribe events"});
  port.onmessage = ({data}) => tell(data);
  let timer;
  return {
    visible(now) {
      clearInterval(timer);
      port.postMessage(now);
      // The worker never learns that a tab has crashed: whoever is silent for a minute is gone.
      if (now) timer = setInterval(() => port.postMessage(true), HERE_MILLISECONDS);
    },
  };
}

function inTab(tell) {
  let stream = null;
  return {
    visible(now) {
      if (now && !stream) stream = openStream(tell);
      if (!now) stream = void stream?.close() ?? null;
    },
  };
}
