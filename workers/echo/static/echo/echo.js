// The echo's page: says what is typed, and shows the answers with the time they took.

import { openSocket, stateLine } from "../site/socket.js";

const KEPT_LINES = 200;
const BYTES = 1024;
const find = (id) => document.getElementById(id);
const tellState = stateLine(find("state"));
const log = find("log");
const form = find("form");
const input = find("text");
const buttons = [find("send"), find("send-bytes")];
const trips = []; // of the round trips so far, the milliseconds
let asked = []; // answers come in the order of the questions

function show(kind, text) {
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = text;
  log.append(line);
  while (log.children.length > KEPT_LINES) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
  return line;
}

function note(line, text) {
  const element = document.createElement("span");
  element.className = "took";
  element.textContent = text;
  line.append(element);
}

function showState(name, wait) {
  tellState(name, wait);
  for (const button of buttons) button.disabled = name !== "open";
  if (name !== "lost") return;
  for (const { line } of asked) note(line, "not answered: the connection was lost");
  asked = [];
}

function ask(data, shown) {
  if (!socket.send(data)) return false;
  asked.push({ data, at: performance.now(), line: show("mine", shown) });
  return true;
}

/** What was asked, and with `shown` of it the answer and the time that it took. */
function answer(shown) {
  const question = asked.shift();
  const line = show("answer", shown(question));
  if (!question) return;
  const took = Math.max(1, Math.round(performance.now() - question.at));
  note(line, `${took} ms`);
  trips.push(took);
  const sorted = [...trips].sort((one, other) => one - other);
  find("trips").textContent =
    `Round trips: ${trips.length}, median ${sorted[Math.floor(sorted.length / 2)]} ms, ` +
    `slowest ${sorted.at(-1)} ms`;
}

function describe(bytes, question) {
  const came = new Uint8Array(bytes);
  const went = question?.data;
  const isSame = went?.length === came.length && came.every((byte, place) => byte === went[place]);
  return `${came.length.toLocaleString("en")} bytes came back, ${isSame ? "all the same" : "other ones"}`;
}

const socket = openSocket(location.pathname, {
  onState: showState,
  onText: (text) => answer(() => text),
  onBytes: (bytes) => answer((question) => describe(bytes, question)),
});

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  const text = input.value.trim();
  if (!text || !ask(text, text)) return;
  input.value = "";
  input.focus();
});

find("send-bytes").addEventListener("click", () => {
  ask(crypto.getRandomValues(new Uint8Array(BYTES)), `${BYTES.toLocaleString("en")} random bytes`);
});
