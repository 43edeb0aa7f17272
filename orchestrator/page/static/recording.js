// The page of a recording: player, transcript and map, and what moves which of them.

import {onThisHost, request} from "./api.js";
import {EditHistory} from "./edit_history.js";
import {Editor} from "./editor.js";
import {Edits} from "./edits.js";
import {Find} from "./find.js";
import {showFinished} from "./finished.js";
import {Follow} from "./follow.js";
import {localTimes} from "./format.js";
import {Live} from "./live.js";
import {Player, parseTime} from "./player.js";
import {change, settings} from "./settings.js";
import {list, listen} from "./shortcuts.js";
import {SpeechMap} from "./speech_map.js";
import {Transcript} from "./transcript.js";
import {Words} from "./words.js";

const PEAKS = 2000;
const PLAY_SIGN = "▶", PAUSE_SIGN = "❚❚";

const element = (id) => document.getElementById(id);
const {dataset} = element("recording");
const segments = withQuery(dataset.segments, `job=${dataset.job}`);

const follow = new Follow([element("stage"), element("transcript-head")], element("resync"));
const words = new Words(segments);
const transcript = new Transcript(element("lines"), words, follow);
const player = new Player(element("player"), Number(dataset.seconds), () => settings.rewind);
const map = new SpeechMap(element("map"), (seconds) => player.seek(seconds));
const find = new Find(transcript, element("find"), follow, (hits) => map.mark(hits));

function withQuery(address, query) {
  return address + (address.includes("?") ? "&" : "?") + query;
}

function showMap() {
  map.show(transcript.times, lengthInAll());
}

function lengthInAll() {
  return Math.max(player.length || 0, Number(transcript.lines.at(-1)?.dataset.end ?? 0));
}

function resync() {
  find.clear();
  follow.start();
}

function goToLine(away) {
  const line = transcript.near(player.seconds, away);
  if (line) player.seek(Number(line.dataset.start));
}

/** Go to the start of the line; from its very beginning, to the one before. */
function goBack() {
  const line = transcript.at(player.seconds);
  const isAtStart = line && player.seconds - Number(line.dataset.start) < 1;
  goToLine(isAtStart ? -1 : 0);
}

/** What changes with the text, but for its lines. */
function edited(title) {
  element("title-shown").textContent = element("title-text").value = title ?? "";
  element("title-shown").hidden = !title;
  editor?.keep();
  showMap();
  find.look();
  element("undo").hidden = element("history-shown").hidden = edits.revision === 0;
  for (const track of document.querySelectorAll("track")) track.src = `${track.getAttribute("src").split("#")[0]}#${edits.revision}`;
}

let edits, editor, editHistory; // if there is a transcript, and this person may edit it

/** Offer editing, if the page as the server makes it does. */
function offerEditing({edits: address, revision}) {
  if (!address || edits) return;
  edits = new Edits(transcript, {address, segments, job: Number(dataset.job), revision: Number(revision)}, edited);
  editor = new Editor(element("lines"), transcript, edits, follow);
  editHistory = new EditHistory(element("history"), edits);
  element("editing-tools").hidden = false;
}

async function undo() {
  try {
    const [line] = await edits.undo();
    if (line) follow.leaveFor(line);
    element("edited").textContent = "Undone.";
  } catch (failure) {
    element("edited").textContent = failure.message;
  }
}

async function rename() {
  const dialog = element("rename"), field = element("title-text");
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, {once: true}));
  if (dialog.returnValue !== "save") return;
  try {
    await edits.rename(field.value.trim() || null);
  } catch (failure) {
    element("edited").textContent = failure.message;
  }
}

const actions = {
  edit: () => editor?.edit(document.activeElement.closest(".line") ?? transcript.spoken ?? transcript.lines[0]),
  undo,
  rename,
  history: () => editHistory.show(),
  toggle: () => player.toggle(),
  back10: () => player.step(-10),
  on10: () => player.step(10),
  back5: () => player.step(-5),
  on5: () => player.step(5),
  previous: goBack,
  next: () => goToLine(1),
  repeat: () => goToLine(0),
  slower: () => player.changeSpeed(-1),
  faster: () => player.changeSpeed(1),
  goto: () => element("goto-time").focus(),
  follow: () => (follow.isOn ? follow.stop() : resync()),
  captions: () => player.toggleCaptions(),
  find: () => find.focus(),
  nextHit: () => find.step(1),
  previousHit: () => find.step(-1),
  help: () => element("help").showModal(),
  settings: () => element("settings").showModal(),
};

function showSettings() {
  element("rewind").value = settings.rewind;
  element("rewind-shown").textContent = `${settings.rewind} s`;
  element("unsure").checked = settings.unsure;
  element("keys").checked = settings.keys;
  transcript.shade(settings.unsure);
}

function listenToControls() {
  for (const button of document.querySelectorAll("[data-action]"))
    button.addEventListener("click", () => actions[button.dataset.action]());
  element("goto").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = element("goto-time"), seconds = parseTime(field.value);
    field.setCustomValidity(Number.isNaN(seconds) ? "Write a time as 83, 1:23 or 1:02:03" : "");
    if (!field.reportValidity()) return;
    field.value = "";
    follow.start();
    player.seek(seconds);
    player.media.focus({preventScroll: true});
  });
  element("goto-time").addEventListener("input", () => element("goto-time").setCustomValidity(""));
  element("settings").addEventListener("change", () => {
    change({rewind: Number(element("rewind").value), unsure: element("unsure").checked, keys: element("keys").checked});
    showSettings();
  });
  listen(actions, () => settings.keys);
}

/** Go to the moment of the address, `#t=123.4`, and show it. */
function goToMoment() {
  const seconds = Number(new URLSearchParams(location.hash.slice(1)).get("t") ?? NaN);
  if (Number.isNaN(seconds)) return;
  follow.start();
  player.seek(seconds);
}

let waveform = null; // its address
const OF_THE_PLAYER = ["player", "map", "controls", "goto"];

/** Play what the browser can of the recording: itself, or sound that is made of it. */
async function load() {
  let about;
  try {
    about = await request(dataset.media);
    if (!about.url) throw new Error(about.why);
  } catch (failure) {
    for (const useless of OF_THE_PLAYER) element(useless).hidden = true;
    return note(`This recording cannot be played: ${failure.message}`);
  }
  for (const useful of OF_THE_PLAYER) element(useful).hidden = false;
  element("player-note").hidden = true;
  player.load(onThisHost(about.url), about.playable === "audio");
  if (about.playable === "audio") note(`${about.why[0].toUpperCase()}${about.why.slice(1)}.`);
  if (about.audio_url && about.audio_url !== about.url) {
    player.onFailure(() => {
      note("This browser cannot play the recording as it is stored: its sound is played.");
      player.load(onThisHost(about.audio_url), true);
    });
  }
  waveform = about.peaks_url && onThisHost(about.peaks_url);
  await showWaveform();
}

async function showWaveform() {
  if (!waveform || map.hasWaveform) return;
  try {
    const peaks = await request(withQuery(waveform, `points=${PEAKS}`));
    const loudest = peaks.max.reduce((most, max, point) => Math.max(most, max - peaks.min[point]), 1);
    map.showPeaks({...peaks, loudest});
  } catch {
    // the map still shows where there is speech
  }
}

/** The job is done: what could not be shown or played before may be now. */
async function finish() {
  const page = await showFinished(dataset.job);
  if (page) offerEditing(page.dataset);
  if (edits?.revision) await edits.readAgain(); // what people have edited before is kept
  await (element("player").hidden ? load() : showWaveform());
}

function note(sentence) {
  element("player-note").textContent = sentence;
  element("player-note").hidden = false;
}

player.onMove((seconds) => {
  if (!seconds && !player.isPlaying) return; // it was not used yet: the page stays as it was opened
  transcript.show(seconds);
  map.move(seconds);
});
player.onChange(() => {
  element("play-sign").textContent = player.isPlaying ? PAUSE_SIGN : PLAY_SIGN;
  element("speed").textContent = `${player.speed} %`;
  if (lengthInAll() !== map.length) showMap();
});
transcript.onPlay((line, seconds, link) => {
  if (link) history.replaceState(history.state, "", link.hash);
  follow.start();
  player.seek(seconds, {play: true});
  if (link) player.media.focus({preventScroll: true});
});
new Live(transcript, segments, {...dataset, id: Number(dataset.job), attempt: Number(dataset.attempt)}, showMap, finish);

// Stacked, the head of the transcript stays below the player, however tall that is.
new ResizeObserver(([{target}]) => document.body.style.setProperty("--stage", `${target.offsetHeight}px`)).observe(element("stage"));
offerEditing(dataset);
for (const hidden of ["map", "controls", "find", "goto"]) element(hidden).hidden = false;
for (const hidden of document.querySelectorAll(".needs-script")) hidden.hidden = false;
localTimes(document);
list(element("keys-list"));
listenToControls();
showSettings();
showMap();
find.look();
addEventListener("hashchange", goToMoment);
goToMoment();
load();
