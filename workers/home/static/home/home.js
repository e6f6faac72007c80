// The start page: once a second a socket brings the processes of the site and what each has done.

import { openSocket, stateLine } from "../site/socket.js";
import { move } from "./drawing.js";

const LATE = 5_000;
const OWN_CHANNEL = "home.look";
const find = (id) => document.getElementById(id);
const made = find("made").dataset;
const tellState = stateLine(find("state"));
const items = new Map(); // by the names of the processes
let before = new Map(); // what each worker had completed
let late;

function age(seconds) {
  const units = [[86_400, "d"], [3_600, "h"], [60, "min"], [0, "s"]];
  const [size, name] = units.find(([size]) => seconds >= size);
  return `${Math.floor(seconds / (size || 1))} ${name}`;
}

function itemOf(name) {
  if (!items.has(name)) {
    items.set(name, find("process").content.firstElementChild.cloneNode(true));
  }
  return items.get(name);
}

function fill(process, { mark, does, isBusy, counts }) {
  const item = itemOf(process.name);
  item.dataset.name = process.name;
  item.dataset.pid = process.pid;
  item.querySelector(".title").textContent = `Process ${process.pid} on ${process.host}`;
  item.querySelector(".mark").textContent = mark;
  item.querySelector(".mark").hidden = !mark;
  item.querySelector(".does").textContent = `Up for ${age(process.uptime)}, ${does}`;
  item.querySelector(".does").classList.toggle("busy", Boolean(isBusy));
  item.querySelector(".counts").replaceChildren(...counts.map(asRow));
  return item;
}

function asRow([name, number]) {
  const [row, term, value] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = name;
  value.textContent = (number ?? 0).toLocaleString("en");
  row.append(term, value);
  return row;
}

const serverItem = (server) =>
  fill(server, {
    mark: server.name === made.server ? "this page came through it" : "",
    does: `named ${server.name.replace(/^server\.reply\.|!$/g, "")}`,
    counts: [
      ["open sockets", server.sockets],
      ["messages from sockets", server.received],
      ["event streams", server.streams],
      ["requests", server.requests],
    ],
  });

const workerItem = (worker) =>
  fill(worker, {
    mark: isMaker(worker) ? "it made this page" : "",
    does: worker.running.length ? `runs ${worker.running.join(", ")}` : "waits for messages",
    isBusy: worker.running.length,
    counts: Object.entries(worker.completed).sort(),
  });

const isMaker = ({ pid, host }) => String(pid) === made.pid && host === made.host;

/** Replace the list's items only where they have changed place: what is selected stays selected. */
function list(element, processes, asItem, none) {
  const wanted = processes.map(asItem);
  if (!wanted.length) wanted.push(Object.assign(document.createElement("li"), none));
  for (const old of [...element.children]) if (!wanted.includes(old)) old.remove();
  wanted.forEach((item, index) => {
    if (element.children[index] !== item) element.insertBefore(item, element.children[index] ?? null);
  });
}

function show({ servers, workers, others }) {
  const names = new Set([...servers, ...workers].map(({ name }) => name));
  for (const name of items.keys()) if (!names.has(name)) items.delete(name);
  list(find("servers"), servers, serverItem, { className: "empty", textContent: "None reports." });
  list(find("workers"), workers, workerItem, { className: "empty", textContent: "None reports." });
  find("others").hidden = !others;
  find("others").textContent = `There are ${others} more.`;
  showMoves(workers);
}

/** Have a dot move in the drawing for what has been done since the last look. */
function showMoves(workers) {
  const done = { down: 0, task: 0 };
  for (const { name, completed } of workers) {
    const known = before.get(name) ?? completed;
    for (const [channel, number] of Object.entries(completed)) {
      const more = number - (known[channel] ?? 0);
      if (/^(http|websocket)\./.test(channel)) done.down += more;
      else if (channel !== OWN_CHANNEL) done.task += more;
    }
  }
  move("request", done.down);
  move("task", done.task);
  if (before.size) move("group", 1); // the way of this very look
  before = new Map(workers.map(({ name, completed }) => [name, completed]));
}

function expectNext() {
  clearTimeout(late);
  setStale(false);
  tellState("open");
  late = setTimeout(() => {
    setStale(true);
    find("state").dataset.state = "lost";
    find("state").textContent = "Connected, but no worker has said anything for 5 s. Is one running?";
  }, LATE);
}

function setStale(isStale) {
  for (const id of ["servers", "workers"]) find(id).classList.toggle("stale", isStale);
}

openSocket("/", {
  onState: (name, wait) => {
    tellState(name, wait);
    if (name !== "lost") return;
    clearTimeout(late);
    setStale(true);
  },
  onText: (text) => {
    expectNext();
    show(JSON.parse(text));
  },
});
