// Datasets: the server has rendered them; here they stay up to date. page/datasets.py makes the same HTML.

import {request} from "./api.js";
import {showConnection} from "./events.js";
import {count, localTime} from "./format.js";

const BUSY_MILLISECONDS = 2000;
const IDLE_MILLISECONDS = 20000;

const NONE = "No dataset has been made yet: orchestrator dataset make --help says how.";

const box = document.getElementById("datasets");
const found = document.getElementById("found");
const older = document.getElementById("older");
const pattern = document.getElementById("dataset").content.querySelector("article");

function fill(article, dataset) {
  const field = (name) => article.querySelector(`[data-field="${name}"]`);
  const say = (name, text) => {
    const element = field(name);
    if (element.textContent !== text) element.textContent = text; // a selection in it stays
  };
  article.dataset.dataset = dataset.id;
  article.dataset.state = dataset.state;
  for (const name of ["name", "state", "kind"]) say(name, dataset[name]);
  for (const name of ["samples", "failed", "recordings"]) say(name, count(dataset[name]));
  say("built", `${count(dataset.built)} of ${count(dataset.shards)}`);
  say("version", dataset.version ?? "");
  say("note", dataset.note ?? "");
  field("begun").dateTime = dataset.created_at;
  say("begun", localTime(dataset.created_at));
  field("version-of").hidden = !dataset.version;
  field("note").hidden = !dataset.note;
  field("note").className = dataset.state === "failed" ? "note bad" : "note";
  Object.assign(field("bar"), {hidden: Boolean(dataset.version), max: dataset.shards || 1, value: dataset.built});
  field("reported").hidden = !dataset.report_url;
  field("unreported").hidden = Boolean(dataset.report_url) || !dataset.version;
  field("report").setAttribute("href", dataset.report_url ?? "");
  field("report").setAttribute("aria-label", `Report of ${dataset.name}`);
  return article;
}

function show({datasets, next}) {
  const shown = new Map([...box.children].map((article) => [Number(article.dataset.dataset), article]));
  datasets.forEach((dataset, place) => {
    const article = fill(shown.get(dataset.id) ?? pattern.cloneNode(true), dataset);
    if (box.children[place] !== article) box.insertBefore(article, box.children[place] ?? null);
    shown.delete(dataset.id);
  });
  for (const article of shown.values()) article.remove();
  older.hidden = next === null;
  if (next !== null) older.href = `/datasets?after=${next}`;
  const none = box.dataset.after ? "There are no older datasets." : NONE;
  const said = datasets.length ? "" : none;
  if (found.textContent !== said) found.textContent = said;
}

/** Read the list again, now and from time to time; while nothing is built, less often. */
async function follow() {
  if (document.visibilityState === "visible") {
    try {
      const {shown, after} = box.dataset;
      show(await request(`/api/datasets?${new URLSearchParams({limit: shown, ...(after && {after})})}`));
      showConnection(false);
    } catch (failure) {
      if (failure.status) found.textContent = failure.message;
      else showConnection(true);
    }
  }
  clearTimeout(follow.timer);
  follow.timer = setTimeout(follow, box.querySelector('[data-state="building"]') ? BUSY_MILLISECONDS : IDLE_MILLISECONDS);
}

document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && follow());
follow();
