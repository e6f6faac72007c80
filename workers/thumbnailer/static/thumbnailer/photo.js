// The page of one photograph: its socket brings the whole state each time, so messages may come
// late, twice or after a reconnect, and the state that counts more changes is the right one; a
// thumbnail on the page is never taken away again.

import { openSocket } from "../site/socket.js";
import { showLetter } from "./letter.js";

const PATIENCE = 8_000;
const find = (id) => document.getElementById(id);
const slots = [...document.querySelectorAll(".slot")];
const first = JSON.parse(find("state").textContent);

let changes = 0; // of the state that is shown
let patience;
let countdown;
let socket;

function showThumbnail({ size, width, height, url }) {
  const slot = slots.find((candidate) => candidate.dataset.size === size);
  const frame = slot.querySelector(".frame");
  if (frame.childElementCount) return;
  const link = document.createElement("a");
  const image = new Image(width, height);
  link.href = url;
  image.alt = `Your photograph, ${size}`;
  image.src = url;
  link.append(image);
  frame.replaceChildren(link);
  slot.querySelector(".measure").textContent = `${width} × ${height}`;
}

const countReady = () => slots.filter((slot) => slot.querySelector("img")).length;

const words = {
  waiting: () => "Waiting for a worker…",
  working: ({ making }) =>
    making
      ? `Making the ${making} one: ${countReady()} of ${slots.length} are ready…`
      : "A worker reads the file…",
  paused: ({ attempt, attempts }) => `Attempt ${attempt} of ${attempts} went wrong.`,
  ready: ({ attempt }) =>
    "All three sizes are ready." + (attempt > 1 ? ` It took ${attempt} attempts.` : ""),
  failed: ({ attempt }) => (attempt ? `Given up after attempt ${attempt}.` : "Given up."),
  refused: () => "",
};

function showTries({ status, attempt, attempts }) {
  find("attempt").textContent = `Attempt ${Math.max(1, attempt)} of ${attempts}`;
  const gone = status === "paused" || status === "failed" ? attempt : attempt - 1;
  const dots = Array.from({ length: attempts }, (_, index) => {
    const dot = document.createElement("i");
    if (index < gone) dot.className = "gone";
    else if (index === attempt - 1) dot.className = "now";
    return dot;
  });
  find("tries").replaceChildren(...dots);
}

function countDown({ status, wait }) {
  clearInterval(countdown);
  const due = performance.now() + wait * 1000;
  const tell = () => {
    const seconds = Math.ceil((due - performance.now()) / 1000);
    find("countdown").textContent = seconds > 0 ? `Next try in ${seconds} s` : "Next try now";
  };
  find("countdown").textContent = "";
  if (status !== "paused") return;
  tell();
  countdown = setInterval(tell, 250);
}

function show(state) {
  const { status, error, thumbnails, making } = state;
  if (state.changes < changes) return; // it was read before the one that is shown
  changes = state.changes;
  clearTimeout(patience);
  thumbnails.forEach(showThumbnail);
  for (const slot of slots) slot.classList.toggle("making", slot.dataset.size === making);
  find("bar").value = countReady();
  find("course").hidden = status === "ready" || status === "refused";
  find("status").textContent = words[status](state);
  find("problem").textContent = error;
  find("problem").hidden = !error;
  find("gallery").hidden = Boolean(error) && !thumbnails.length;
  showTries(state);
  countDown(state);
  showLetter(status === "failed");
  if (status === "waiting" || status === "working") beginToDoubt(status);
  if (status === "ready") socket?.close();
}

function beginToDoubt(status) {
  patience = setTimeout(() => {
    if (status === "waiting") find("status").textContent += " Is one running?";
    else showLetter(true); // did it end its worker?
  }, PATIENCE);
}

function showConnection(name) {
  if (name !== "lost") return;
  clearTimeout(patience);
  find("status").textContent = "Connection lost. Trying again…";
}

show(first);
if (first.status !== "ready") {
  socket = openSocket(location.pathname, {
    onState: showConnection,
    onText: (text) => show(JSON.parse(text)),
  });
}
