// Vocabulary: the server has rendered the lists; here they are changed, and what they concern is transcribed again.

import {request} from "./api.js";
import {count, localTime} from "./format.js";

const lists = document.getElementById("lists");
const pattern = document.getElementById("list").content.querySelector("article");
const again = document.getElementById("again"); // not there if the reader may not do that
const nameOf = (prefix) => prefix || "All savepaths";

function fill(article, {prefix, words, changed_at, changed_by}, changed) {
  const field = (name) => article.querySelector(`[data-field="${name}"]`);
  article.dataset.prefix = prefix;
  field("name").textContent = nameOf(prefix);
  field("changed").dateTime = changed_at;
  field("changed").textContent = localTime(changed_at);
  field("by").textContent = changed_by;
  field("words").textContent = words.join(", ");
  const details = article.querySelector("details");
  if (details?.open && prefix !== changed) return article; // someone writes in it
  const text = article.querySelector("textarea");
  if (text) text.value = text.defaultValue = words.join("\n");
  return article;
}

/** Show these lists, one of which has just been changed here. */
function show(now, changed) {
  const shown = new Map([...lists.children].map((article) => [article.dataset.prefix, article]));
  now.forEach((list, place) => {
    const article = fill(shown.get(list.prefix) ?? pattern.cloneNode(true), list, changed);
    if (lists.children[place] !== article) lists.insertBefore(article, lists.children[place] ?? null);
    shown.delete(list.prefix);
  });
  for (const article of shown.values()) article.remove();
  document.getElementById("none").hidden = now.length > 0;
}

/** Write a list; `replaced` are the words that were shown when it was begun. */
async function put(form, prefix, words, replaced) {
  const said = form.querySelector("[role=status]");
  const buttons = form.querySelectorAll("button");
  Object.assign(said, {className: "", textContent: "Saving …"});
  buttons.forEach((button) => (button.disabled = true));
  let saved = false;
  try {
    show((await request("/api/vocabulary", {method: "PUT", body: {prefix, words, replaced}})).lists, prefix);
    said.textContent = words.length ? `Saved: ${count(words.length)} ${words.length === 1 ? "word" : "words"}` : "Removed";
    saved = true;
    if (again) {
      document.getElementById("again-prefix").value = prefix;
      counted("");
    }
  } catch (failure) {
    Object.assign(said, {className: "error", textContent: failure.message});
    if (failure.code === "list_changed") await showChanged(form, failure.details.words);
  }
  buttons.forEach((button) => (button.disabled = false));
  return saved;
}

/** Someone else has changed the list: what was written here stays, and is saved in place of theirs if it is saved again. */
async function showChanged(form, theirs) {
  form.querySelector("[role=status]").textContent += ". Saving again replaces that.";
  if (form.id !== "new") form.elements.words.defaultValue = theirs.join("\n");
  else show((await request("/api/vocabulary")).lists);
}

const wordsIn = (text) => [...new Set(text.split(/[\n,]/).map((word) => word.trim()).filter(Boolean))];
const wordsOf = (form) => wordsIn(form.elements.words.value);
const shownIn = (form) => wordsIn(form.elements.words.defaultValue);

function nothing(form) {
  Object.assign(form.querySelector("[role=status]"), {className: "error", textContent: "Write at least one word."});
}

document.getElementById("new")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const prefix = document.getElementById("prefix").value;
  const words = wordsOf(form);
  if (!words.length) return nothing(form);
  const known = [...lists.children].find((article) => article.dataset.prefix === prefix)?.querySelector("form");
  if (known && !confirm(`There is a list of ${nameOf(prefix)} already. Replace it?`)) return;
  if (await put(form, prefix, words, known ? shownIn(known) : [])) form.reset();
});

lists.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = wordsOf(event.target);
  if (words.length) put(event.target, event.target.closest("article").dataset.prefix, words, shownIn(event.target));
  else nothing(event.target);
});

lists.addEventListener("click", ({target}) => {
  if (target.dataset.action !== "remove") return;
  const {prefix} = target.closest("article").dataset;
  if (confirm(`Remove the list of ${nameOf(prefix)}?`)) put(target.form, prefix, [], shownIn(target.form));
});

function counted(text, recordings = 0, failed = false) {
  Object.assign(document.getElementById("counted"), {className: failed ? "error" : "", textContent: text});
  document.getElementById("requeue").hidden = !recordings;
}

async function requeue(dry_run) {
  const prefix = document.getElementById("again-prefix").value;
  const buttons = [again.querySelector("button"), document.getElementById("requeue")];
  buttons.forEach((button) => (button.disabled = true));
  counted(dry_run ? "Counting …" : "Submitting …");
  try {
    const {recordings} = await request("/api/vocabulary/requeue", {method: "POST", body: {prefix, dry_run}});
    const what = `${count(recordings)} ${recordings === 1 ? "recording" : "recordings"}`;
    const were = recordings === 1 ? "was" : "were";
    if (dry_run) counted(recordings ? `${what} ${were} given other words.` : "None was given other words.", recordings);
    else counted(`${what} queued again`);
  } catch (failure) {
    counted(failure.message, 0, true);
  }
  buttons.forEach((button) => (button.disabled = false));
}

again?.addEventListener("submit", (event) => {
  event.preventDefault();
  requeue(true);
});
again?.addEventListener("input", () => counted("")); // what was counted is of another prefix
document.getElementById("requeue")?.addEventListener("click", () => requeue(false));

for (const time of lists.querySelectorAll("time")) time.textContent = localTime(time.dateTime);
