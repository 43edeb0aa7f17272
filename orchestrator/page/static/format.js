// How numbers, lengths and times are written, in the reader's own language and zone.

// Each takes a page milliseconds to make, and no page needs all of them.
const whole = whenUsed(() => new Intl.NumberFormat());
const rounded = whenUsed(() => new Intl.NumberFormat(undefined, {maximumFractionDigits: 1}));
const tenths = whenUsed(() => new Intl.NumberFormat(undefined, {minimumFractionDigits: 1, maximumFractionDigits: 1}));
const hour = whenUsed(() => new Intl.DateTimeFormat(undefined, {timeStyle: "short"}));
const moment = whenUsed(() => new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"}));

function whenUsed(make) {
  let made;
  return (value) => (made ??= make()).format(value);
}

export const count = (number) => whole(number);
/** With one digit after the point, always: 3.0. */
export const one = (number) => tenths(number);
/** With one where there is one: 3, 3.5. */
export const decimal = (number) => rounded(number);

/** A position or length in a recording: 0:07, 12:34, 1:02:03. */
export function clock(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(all / 3600), Math.floor(all / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

/** How long something takes or is ago: 40 s, 12 min, 3.5 h, 12 d. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${decimal(seconds / 3600)} h` : `${count(Math.round(seconds / 86400))} d`;
}

export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; number >= 1000 && unit < units.length - 1; unit++) number /= 1000;
  return `${unit ? decimal(number) : count(number)} ${units[unit]}`;
}

/** A day and time in the reader's zone. */
export const localTime = (when) => moment(new Date(when));
export const timeOfDay = (when) => hour(new Date(when));

/** Show every <time> within an element in the reader's zone. */
export function localTimes(element) {
  for (const time of element.querySelectorAll("time[datetime]:not([data-field])"))
    time.textContent = localTime(time.dateTime);
}
