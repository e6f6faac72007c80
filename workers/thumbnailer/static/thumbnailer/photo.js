// The page of one photograph: its socket brings the whole state each time, so messages may come
// late, twice or after a reconnect; what is on the page is never taken away again.

import { openSocket } from "../site/socket.js";

const PATIENCE = 8_000;
const statusLine = document.getElementById("status");
const problem = document.getElementById("problem");
const gallery = document.getElementById("gallery");
const slots = [...gallery.querySelectorAll(".slot")];
const first = JSON.parse(document.getElementById("state").textContent);
const ended = (state) => state.status === "ready" || state.status === "failed";

let patience;
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

function showFailure(text) {
  problem.textContent = text;
  problem.hidden = false;
  gallery.hidden = true;
  statusLine.textContent = "";
}

function countReady() {
  return slots.filter((slot) => slot.querySelector("img")).length;
}

function show(state) {
  clearTimeout(patience);
  state.thumbnails.forEach(showThumbnail);
  if (state.status === "failed") showFailure(state.error);
  else if (countReady() === slots.length) statusLine.textContent = "All three sizes are ready.";
  else if (countReady()) statusLine.textContent = `${countReady()} of ${slots.length} sizes are ready…`;
  else if (state.status === "working") statusLine.textContent = "A worker has begun…";
  else waitForWorker();
  if (ended(state)) socket?.close();
}

function waitForWorker() {
  statusLine.textContent = "Waiting for a worker…";
  patience = setTimeout(() => {
    statusLine.textContent = "Still waiting for a worker. Is one running?";
  }, PATIENCE);
}

function showConnection(name) {
  if (name === "lost") {
    clearTimeout(patience);
    statusLine.textContent = "Connection lost. Trying again…";
  }
}

if (!ended(first)) {
  show(first);
  socket = openSocket(location.pathname, {
    onState: showConnection,
    onText: (text) => show(JSON.parse(text)),
  });
}
