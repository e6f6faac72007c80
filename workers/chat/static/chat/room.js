// The page of a room. Its lines are numbered without gaps, so it knows what it has: it asks for what it
// has missed and shows nothing twice. What it says it says again, with the same token, until the line
// comes back; the server stores it once.

import { openSocket, stateLine } from "../site/socket.js";
import * as log from "./log.js";
import * as people from "./people.js";
import * as unsent from "./unsent.js";

const AGAIN = 5_000; // milliseconds without an answer
const state = document.getElementById("state");
const tellState = stateLine(state);
const form = document.getElementById("form");
const input = document.getElementById("text");
const problem = document.getElementById("problem");
const signedOut = document.getElementById("signed-out");
const me = Number(document.getElementById("room").dataset.me);
const maxLength = Number(input.dataset.maxLength);

let last = null; // the number up to which the page has all; null before its first history
let newest = 0; // the highest number that it has heard of
let isAsking = false;

// What was said ------------------------------------------------------------------------------

function ask() {
  isAsking = socket.send(JSON.stringify({ after: last }));
}

function show(line, isNew) {
  unsent.drop(line.token);
  if (last !== null && line.number <= last) return;
  log.showLine(line, { isNew });
  last = line.number;
}

function takeLine(line) {
  newest = Math.max(newest, line.number);
  if (isAsking) return; // when the answer is there, it asks for this one, too
  if (last !== null && line.number <= last + 1) show(line, true);
  else ask(); // a line is missing in between
}

function takeHistory({ lines, upto, newest: newestStored }) {
  isAsking = false;
  const isNew = last !== null;
  for (const line of lines) show(line, isNew);
  last = Math.max(last ?? 0, upto);
  newest = Math.max(newest, newestStored);
  if (last < newest) ask(); // it was away for long, or a line came while it was asking
  else log.announce();
}

// Saying something -----------------------------------------------------------------------------

function say(token, text) {
  socket.send(JSON.stringify({ text, token })); // while there is no connection, it is said later
}

function showProblem(text) {
  problem.textContent = text;
  problem.hidden = !text;
  input.toggleAttribute("aria-invalid", Boolean(text));
}

function takeProblem(text, token) {
  const said = unsent.drop(token) ?? "";
  input.value ||= said;
  showProblem(text);
}

function findProblem(text) {
  const length = [...text].length; // as Python counts
  if (length <= maxLength) return "";
  return `This has ${length} characters, and the limit is ${maxLength}. Shorten it, please.`;
}

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  const text = input.value.trim();
  const found = findProblem(text);
  showProblem(found);
  input.focus();
  if (!text || found) return;
  say(unsent.add(text), text);
  input.value = "";
});

input.addEventListener("keydown", (press) => {
  if (press.key !== "Enter" || press.shiftKey || press.isComposing) return;
  press.preventDefault();
  form.requestSubmit();
});

input.addEventListener("input", () => showProblem(findProblem(input.value.trim())));

// The socket -----------------------------------------------------------------------------------

function takePresence(presence, user) {
  if (presence === "join") people.come(user);
  else people.go(user);
  if (user.id !== me) log.showNotice(`${user.name} ${presence === "join" ? "joined" : "left"}`);
}

function endSession() {
  socket.close();
  state.dataset.state = "lost";
  state.textContent = "Signed out";
  signedOut.hidden = false;
  form.hidden = true;
}

function take(content) {
  if (content.line) takeLine(content.line);
  else if (content.history) takeHistory(content.history);
  else if (content.here) (content.all ? people.comeAll : (users) => people.come(...users))(content.here);
  else if (content.presence) takePresence(content.presence, content.user);
  else if (content.problem) takeProblem(content.problem, content.token);
  else if (content.signed_out) endSession();
}

const socket = openSocket(location.pathname, {
  onText: (text) => take(JSON.parse(text)),
  onState(name, wait) {
    tellState(name, wait);
    isAsking = false;
    if (name !== "open") return;
    people.forget();
    ask();
    unsent.forEach(say);
  },
});

setInterval(() => {
  if (isAsking) ask(); // the answer was lost, as with the worker that had the question
  unsent.ifStuck(say);
}, AGAIN);
