// Search: the server has rendered the results; here they get dates in the reader's zone, and a player.

import {Failure, onThisHost, request} from "./api.js";
import {localTimes} from "./format.js";

const WHY = {
  none: "A browser cannot play this recording.",
  failed: "It cannot be played now. Try again in a moment.",
};

let player = null; // the one that is there: {media, article}

/** The player of a result; that of another one ends. */
async function playerIn(article) {
  if (player?.article === article) return player.media;
  close();
  const {playable, url, why} = await request(article.dataset.media);
  if (playable === "none") throw new Failure(0, "not_playable", why || WHY.none);
  if (playable === "audio" && why) tell(article, sentence(why));
  const media = document.createElement(playable === "video" ? "video" : "audio");
  media.controls = true;
  media.preload = "metadata"; // a browser opens few connections
  media.playsInline = true;
  media.setAttribute("aria-label", article.querySelector("h2").textContent.trim());
  media.addEventListener("error", () => tell(article, WHY.failed));
  media.src = onThisHost(url);
  const box = article.querySelector(".player");
  box.replaceChildren(media);
  box.hidden = false;
  player = {media, article};
  return media;
}

function close() {
  if (!player) return;
  const {media, article} = player;
  media.pause();
  media.removeAttribute("src");
  media.load(); // ends its requests
  Object.assign(article.querySelector(".player"), {hidden: true}).replaceChildren();
  player = null;
}

function tell(article, text) {
  const told = article.querySelector(".told");
  told.textContent = text;
  told.hidden = !text;
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);

async function play(button) {
  const article = button.closest("article");
  if (player?.article !== article) tell(article, "");
  button.disabled = true;
  try {
    const media = await playerIn(article);
    const start = Number(button.dataset.start);
    if (media.readyState >= HTMLMediaElement.HAVE_METADATA) media.currentTime = start;
    else media.addEventListener("loadedmetadata", () => (media.currentTime = start), {once: true});
    for (const other of document.querySelectorAll(".play[aria-current]")) other.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    media.play().catch(() => {}); // the element says itself why it cannot
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    tell(article, sentence(failure.message));
  } finally {
    button.disabled = false;
    button.focus();
  }
}

for (const button of document.querySelectorAll(".play")) {
  button.hidden = false;
  button.addEventListener("click", () => play(button));
}

localTimes(document);

// Fields that are empty stay out of the address.
document.querySelector("form.search").addEventListener("submit", ({target}) => {
  for (const field of target.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form.search :disabled")) field.disabled = false;
});
