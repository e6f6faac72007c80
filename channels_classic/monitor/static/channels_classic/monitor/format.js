// Numbers, durations and times as people read them; and elements in one call.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const axis = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat([], { timeStyle: "medium" });
const moment = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });

export const NOTHING = "–";

export function number(value) {
  return value == null ? NOTHING : whole.format(value);
}

/** A rate: one decimal while it is small. */
export function rate(value) {
  if (value == null) return NOTHING;
  return value && value < 100 ? tenths.format(value) : whole.format(value);
}

/** A number beside an axis. */
export function onAxis(value) {
  return axis.format(value);
}

/** Seconds: "0.4 s", "12 s", "3 min 20 s", "5 h 2 min", "12 d 3 h". */
export function duration(seconds) {
  if (seconds == null) return NOTHING;
  if (seconds < 10) return `${tenths.format(seconds)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** The time of day of a Unix time. */
export function timeOfDay(unix) {
  return clock.format(new Date(unix * 1000));
}

export function dateAndTime(unix) {
  return moment.format(new Date(unix * 1000));
}

/** An element: `make("td", { className: "n" }, "text", another)`. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Set the text, without a change where there is none: what is selected stays so. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** `leaving` goes: if it has the focus `heir` gets it, or a keyboard would begin at the top again. */
export function handOn(leaving, heir) {
  if (leaving.contains(document.activeElement)) heir.focus();
}

/** "12", or "50 of 3,214" when not all are shown. */
export function shownOf(shown, total) {
  return shown < total ? `${number(shown)} of ${number(total)}` : number(total);
}
