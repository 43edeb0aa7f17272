// What a reader has chosen on the page of a recording: kept by this browser.

const NAME = "reelscribe.recording";
const DEFAULTS = {rewind: 2, unsure: false, keys: true};

function stored() {
  try {
    return JSON.parse(localStorage.getItem(NAME)) ?? {};
  } catch {
    return {}; // not allowed, or not ours
  }
}

export const settings = {...DEFAULTS, ...stored()};

/** Change some of them, and keep them. */
export function change(changes) {
  Object.assign(settings, changes);
  try {
    localStorage.setItem(NAME, JSON.stringify(settings));
  } catch {
    // they last as long as this page
  }
}
