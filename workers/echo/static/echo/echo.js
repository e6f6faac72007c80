// The echo's page: says what is typed, and shows the answers with the time they took.

import { openSocket, stateLine } from "../site/socket.js";

const KEPT_LINES = 200;
const tellState = stateLine(document.getElementById("state"));
const log = document.getElementById("log");
const form = document.getElementById("form");
const input = document.getElementById("text");
const button = document.getElementById("send");
let sentAt = []; // answers come in the order of the questions

function show(kind, text, note) {
  const line = document.createElement("li");
  line.className = kind;
  line.textContent = text;
  if (note) {
    const took = document.createElement("span");
    took.className = "took";
    took.textContent = note;
    line.append(took);
  }
  log.append(line);
  while (log.children.length > KEPT_LINES) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
}

function showState(name, wait) {
  tellState(name, wait);
  button.disabled = name !== "open";
  if (name === "lost") sentAt = [];
}

function showAnswer(text) {
  const started = sentAt.shift();
  const took = started && `${Math.max(1, Math.round(performance.now() - started))} ms`;
  show("answer", text, took);
}

const socket = openSocket(location.pathname, { onState: showState, onText: showAnswer });

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  const text = input.value.trim();
  if (!text) return;
  if (!socket.send(text)) return;
  sentAt.push(performance.now());
  show("mine", text);
  input.value = "";
  input.focus();
});
