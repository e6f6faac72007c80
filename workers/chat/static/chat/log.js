// What the page of a room shows: lines, notices, and who is here.

import { element } from "../site/element.js";

const KEPT = 500;
const SAME_BREATH = 5 * 60_000; // a name stands once above lines that follow each other so closely
const NEAR = 80; // pixels from the end, within which a reader wants to see what comes

const scroller = document.getElementById("scroller");
const log = document.getElementById("log");
const unsent = document.getElementById("unsent");
const latest = document.getElementById("latest");
const me = Number(document.getElementById("room").dataset.me);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const title = document.title;
let before = {}; // the line that was shown last
let unread = 0;
let follows = true; // what comes is scrolled to: not while somebody reads further up

function timeOf(date) {
  const time = element("time", "time", clock.format(date));
  time.dateTime = date.toISOString();
  time.title = date.toLocaleString();
  return time;
}

/** A circle with the initial of a name, in a colour that is the user's own. */
export function face({ id, name }) {
  const circle = element("span", "face", [...name][0].toUpperCase());
  circle.setAttribute("aria-hidden", "true");
  circle.style.setProperty("--hue", (id * 67) % 360);
  return circle;
}

function isAtEnd() {
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
}

function append(item) {
  log.append(item);
  while (log.children.length > KEPT) log.firstElementChild.remove();
  if (follows) toEnd();
  else latest.hidden = false;
}

export function toEnd() {
  scroller.scrollTop = scroller.scrollHeight;
  latest.hidden = true;
}

function showDay(date) {
  if (before.date?.toDateString() === date.toDateString()) return;
  append(element("li", "notice", day.format(date)));
  before = { date };
}

/** A line that is stored. */
export function showLine({ author, text, said }, { isNew }) {
  const date = new Date(said);
  showDay(date);
  const isMine = author.id === me;
  const goesOn = before.author === author.id && date - before.date < SAME_BREATH;
  const item = element("li", `said${isMine ? " mine" : ""}${goesOn ? " goes-on" : ""}`);
  const head = element("p", "head");
  head.append(face(author), element("b", "author", isMine ? "You" : author.name), timeOf(date));
  item.append(head, element("p", "words", text));
  append(item);
  before = { author: author.id, date };
  if (isNew && !isMine && document.visibilityState === "hidden") countUnread(unread + 1);
}

/** Something that happened; it is not kept. */
export function showNotice(text) {
  const item = element("li", "notice", `${text} `);
  item.append(timeOf(new Date()));
  append(item);
  before = { date: before.date };
}

/** A line of one's own, before it is known to be stored. */
export function showUnsent(token, text) {
  const item = element("li", "said mine");
  item.dataset.token = token;
  item.append(element("p", "words", text), element("p", "time", "Sending…"));
  unsent.append(item);
  toEnd();
}

export function dropUnsent(token) {
  [...unsent.children].find((item) => item.dataset.token === token)?.remove();
}

/** From now on, what comes is read aloud by those who listen to the page: not the whole history. */
export function announce() {
  log.setAttribute("aria-live", "polite");
}

function countUnread(number) {
  unread = number;
  document.title = (number ? `(${number}) ` : "") + title;
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") countUnread(0);
});

latest.addEventListener("click", toEnd);
scroller.addEventListener("scroll", () => {
  follows = isAtEnd();
  if (follows) latest.hidden = true;
});
new ResizeObserver(() => follows && toEnd()).observe(scroller); // a phone's keyboard comes and goes
