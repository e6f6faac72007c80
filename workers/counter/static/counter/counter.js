// Both pages of the counter: the number on its flaps, live, and the button that raises it.

import { openSocket, stateLine } from "../site/socket.js";

const FLAPS = 4;
const counter = document.getElementById("counter");
const value = document.getElementById("value");
const flaps = document.getElementById("flaps");
const showState = stateLine(document.getElementById("state"));

let highest = Number(value.textContent);
let started = true; // whether the socket that is open now has brought the stored value

// Messages of different workers may overtake each other, and a counter only rises: so the highest
// one is right. Only the stored value, with which each connection starts, may be lower than what a
// page shows, as when somebody has emptied the database; what comes before it has to wait for it.
function hear(message) {
  highest = Math.max(highest, message.value);
  started ||= message.stored === true;
  if (started) show(highest);
}

function show(number) {
  if (value.textContent === String(number)) return;
  value.textContent = number;
  const digits = [...String(number).padStart(FLAPS, "0")];
  while (flaps.children.length > digits.length) flaps.firstElementChild.remove();
  while (flaps.children.length < digits.length) flaps.prepend(newFlap());
  digits.forEach((digit, place) => turn(flaps.children[place], digit));
}

function newFlap() {
  const flap = document.createElement("span");
  flap.className = "flap";
  return flap;
}

function turn(flap, digit) {
  if (flap.dataset.digit === digit) return;
  flap.dataset.digit = digit;
  flap.classList.remove("turned");
  void flap.offsetWidth; // so that the animation begins anew
  flap.classList.add("turned");
}

openSocket(counter.dataset.socket, {
  onState(name, wait) {
    if (name === "open") {
      highest = 0;
      started = false;
    }
    showState(name, wait);
  },
  onText: (text) => hear(JSON.parse(text)),
});

// The button --------------------------------------------------------------------------------

const form = document.getElementById("form");
const presses = document.getElementById("presses");
const problem = document.getElementById("problem");
let pressed = 0;

async function press() {
  const answer = await fetch(form.dataset.api, { method: "POST" });
  if (!answer.ok) throw new Error(`The server said ${answer.status}.`);
  hear(await answer.json());
  pressed += 1;
  presses.textContent = pressed === 1 ? "You added one." : `You added ${pressed}.`;
  problem.hidden = true;
}

function showProblem(error) {
  const reason = error instanceof TypeError ? "The server cannot be reached." : error.message;
  problem.textContent = `That press was perhaps not counted. ${reason} Try again.`;
  problem.hidden = false;
}

form?.addEventListener("submit", (submit) => {
  submit.preventDefault(); // the form is for browsers without scripts
  press().catch(showProblem);
});
