// The keys of the page of a recording: one table for what they do and for the dialog that lists them.

export const SHORTCUTS = [
  {keys: ["k", " "], action: "toggle", help: "Play or pause"},
  {keys: ["j"], action: "back10", help: "Back 10 seconds"},
  {keys: ["l"], action: "on10", help: "Forward 10 seconds"},
  {keys: ["ArrowLeft"], action: "back5", help: "Back 5 seconds"},
  {keys: ["ArrowRight"], action: "on5", help: "Forward 5 seconds"},
  {keys: ["["], action: "previous", help: "Previous line"},
  {keys: ["]"], action: "next", help: "Next line"},
  {keys: ["<"], action: "slower", help: "Slower by 10 %"},
  {keys: [">"], action: "faster", help: "Faster by 10 %"},
  {keys: ["g"], action: "goto", help: "Go to a time"},
  {keys: ["f"], action: "follow", help: "Follow the spoken line, or stop that"},
  {keys: ["c"], action: "captions", help: "Captions on or off"},
  {keys: ["/"], action: "find", help: "Find in the transcript"},
  {keys: ["n"], action: "nextHit", help: "Next hit"},
  {keys: ["N"], action: "previousHit", help: "Previous hit"},
  {keys: ["e"], action: "edit", help: "Edit the line (Ctrl+Enter saves, Escape cancels)"},
  {keys: ["?"], action: "help", help: "This list"},
  // Foot pedals send these; they are of use while a hand is on the keyboard, so they work in fields too.
  {keys: ["F1"], action: "back5", help: "Back 5 seconds", inFields: true},
  {keys: ["F2"], action: "toggle", help: "Play or pause", inFields: true},
  {keys: ["F3"], action: "on5", help: "Forward 5 seconds", inFields: true},
  {keys: ["F4"], action: "repeat", help: "The spoken line again", inFields: true},
];

const NAMES = {" ": "Space", ArrowLeft: "←", ArrowRight: "→"};
const FIELD = "input, textarea, select, [contenteditable]";
const PRESSED_BY_SPACE = "button, a[href], summary, [role=button]";

/** What a key press stands for; undefined if nothing. */
export function shortcutOf(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return undefined;
  const {key, target} = event;
  const shortcut = SHORTCUTS.find(({keys}) => keys.includes(key)) ??
    SHORTCUTS.find(({keys}) => keys.includes(key.toLowerCase()));
  const element = target instanceof Element ? target : document.body;
  if (!shortcut || shortcut.inFields) return shortcut;
  if (element.closest(FIELD) || document.querySelector("dialog[open]")) return undefined;
  return key === " " && element.closest(PRESSED_BY_SPACE) ? undefined : shortcut;
}

/** Have the keys do what `actions` has under the names of the table, while `enabled()`. */
export function listen(actions, enabled) {
  const take = (event) => {
    const shortcut = enabled() ? shortcutOf(event) : undefined;
    if (!shortcut) return;
    event.preventDefault();
    if (event.target instanceof HTMLMediaElement) event.stopPropagation();
    actions[shortcut.action]();
  };
  addEventListener("keydown", take);
  // The browser's own controls have the focus: they would play, pause or move as well, before the event gets up here.
  addEventListener("keydown", (event) => event.target instanceof HTMLMediaElement && take(event), {capture: true});
}

/** Write the table into a <dl>. */
export function list(into) {
  into.replaceChildren(...SHORTCUTS.map(({keys, help}) => {
    const row = document.createElement("div");
    const term = row.appendChild(document.createElement("dt"));
    keys.forEach((key, number) => {
      if (number) term.append(" ");
      term.appendChild(document.createElement("kbd")).textContent = NAMES[key] ?? key;
    });
    row.appendChild(document.createElement("dd")).textContent = help;
    return row;
  }));
}
