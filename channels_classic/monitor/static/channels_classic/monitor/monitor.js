// The live page: takes what the socket brings, and says so when it brings nothing.

import { charts } from "./chart.js";
import { duration, make, NOTHING, number, rate, say, shownOf, timeOfDay } from "./format.js";
import { deadLetters } from "./letters.js";
import { blocks, table } from "./tables.js";

/** After so many seconds without a frame nobody seems to send any; so often a search is renewed. */
const SILENCE = 5;
const SEARCH = 3000;
const NOT_ALLOWED = 4403;

const STATES = {
  waiting: "Connecting…",
  open: "Live",
  silent: "Nothing heard since",
  lost: "Connection lost. Trying again…",
  refused: "You may no longer look. Log in again.",
};

const SILENT = "No figures come: is a worker running, and does the bus answer? " +
  "What you see is what was heard last.";

const byId = (id) => document.getElementById(id);
const settings = JSON.parse(byId("settings").textContent);
const opening = JSON.parse(byId("opening").textContent);
const bridge = new channels.WebSocketBridge({});

let frame = null;
let found = null; // what a search has found, of all that there is
let points = [];
let heardAt = 0; // by performance.now()
let connection = "waiting";

const amount = (show) => (key, title, mark = "") => ({
  title, number: true, text: (row) => show(row[key]), order: (row) => row[key],
  mark: (row) => (row[key] ? mark : "zero"),
});
const [count, flow, lasting] = [amount(number), amount(rate), amount(duration)];

const showChannels = table(byId("channels"), [
  { title: "Channel", text: (row) => row.name, about: more },
  { ...count("waiting", "Waiting"), mark: (row) => (!row.waiting ? "zero" : row.workers ? "" : "bad") },
  lasting("oldest", "Oldest"),
  flow("in", "In/s"),
  flow("out", "Out/s"),
  { ...count("workers", "Workers"), mark: (row) => (row.workers ? "" : "warn") },
  { ...count("delayed", "Delayed"), about: (row) => (row.delayed ? `next in ${duration(row.next_due)}` : "") },
  count("sent", "Sent"),
  count("completed", "Completed"),
  count("failed", "Failed", "bad"),
  count("retried", "Retried", "warn"),
  count("refused", "Refused", "bad"),
  count("expired", "Expired", "bad"),
  count("lost", "Lost", "bad"),
  count("dead", "Dead", "bad"),
], { heads: [["", 1], ["Now", 6], ["Counted", 8]], empty: "No channels.", byName: true });

const showServers = table(byId("servers"), [
  { title: "Server", text: process, about: (row) => row.name },
  count("sockets", "Sockets"),
  flow("rate", "Requests/s"),
  count("requests", "Requests"),
  count("answering", "In hand"),
  count("streams", "Streams"),
  lasting("uptime", "Up"),
], { empty: "No server is running." });

const showGroups = table(byId("groups"), [
  { title: "Group", text: (row) => row.name },
  count("members", "Members"),
], { empty: "No groups." });

const showDelayed = table(byId("delayed"), [
  { title: "Channel", text: (row) => row.channel },
  lasting("due_in", "Due in"),
], { empty: "No delayed messages.", keyed: false });

const showWorkers = blocks(byId("workers"), workerBlock, "No worker is running: start manage.py runworker.");
const letters = deadLetters({
  address: settings.dead, mayAct: settings.mayAct, ask: (id) => send({ letter: id }),
});
const showCharts = charts(byId("charts"), byId("chart-table"), settings);

function process(row) {
  return `${row.host} · ${row.pid}`;
}

/** What else was counted on a channel. */
function more(row) {
  return Object.entries(row.more).map(([what, times]) => `${what}: ${number(times)}`).join(", ");
}

function workerBlock() {
  const [title, facts] = [make("h3"), make("p", { className: "quiet facts" })];
  const list = make("ul", { className: "running" });
  const showRunning = blocks(list, runningLine, "Idle");
  const rest = make("p", { className: "quiet small" });
  const element = make("li", { className: "worker" }, make("div", {}, title, facts), make("div", {}, list, rest));
  function update(row) {
    element.dataset.pid = row.pid;
    say(title, process(row));
    element.title = row.name;
    say(facts, [
      row.threads === 1 ? "1 thread" : `${number(row.threads)} threads`,
      row.channels === 1 ? "1 channel" : `${number(row.channels)} channels`,
      `${number(row.completed)} done`,
      row.progress == null ? "nothing done yet" : `last ${duration(row.progress)} ago`,
      `up ${duration(row.uptime)}`,
    ].join(" · "));
    showRunning(row.running, (each) => row.running.indexOf(each));
    const hidden = row.running_total - row.running.length;
    say(rest, hidden > 0 ? `and ${number(hidden)} more` : "");
  }
  return { element, update };
}

function runningLine() {
  const [seconds, channel, consumer, since] = ["b", "code", "span", "span"].map((tag) => make(tag));
  seconds.className = "seconds";
  since.className = "quiet";
  const element = make("li", {}, seconds, " ", channel, " ", consumer, " ", since);
  function update(row) {
    element.dataset.channel = row.channel;
    say(seconds, duration(row.seconds));
    say(channel, row.channel);
    say(consumer, row.consumer);
    say(since, `since ${timeOfDay(frame.time - row.seconds)}${row.request_id ? ` · ${row.request_id}` : ""}`);
  }
  return { element, update };
}

// What is shown -------------------------------------------------------------------------------

const wanted = () => byId("filter-text").value.trim().toLowerCase();

function matching(rows, text) {
  if (!text) return rows;
  return rows.filter((row) => JSON.stringify(row).toLowerCase().includes(text));
}

/** `show` the rows that match, and say how many there are. */
function list(name, show, text) {
  const [rows, total] = [frame[name], frame[`${name}_total`]];
  const chosen = found?.text === text && found[name] ? found : null;
  const shown = chosen ? chosen[name] : matching(rows, text);
  const of = chosen ? chosen[`${name}_total`] : text ? shown.length : total;
  show(shown, of);
  say(byId(`${name}-count`), shownOf(shown.length, of));
}

function render() {
  if (!frame) return;
  const text = wanted();
  list("channels", showChannels, text);
  list("workers", (rows) => showWorkers(rows), text);
  list("servers", showServers, text);
  list("groups", showGroups, text);
  list("delayed", showDelayed, text);
  list("letters", (rows, total) => letters.show(rows, total, frame.time), text);
  showFigures();
}

function showFigures() {
  const { total } = frame;
  const texts = {
    in: rate(total.in), out: rate(total.out), failing: rate(total.failing),
    waiting: number(total.waiting),
    oldest: total.waiting ? `oldest ${duration(total.oldest)}` : "messages",
    running: number(total.running), sockets: number(total.sockets),
    streams: total.streams ? `and ${number(total.streams)} streams` : "open",
    letters: number(frame.letters_total), delayed: number(frame.delayed_total),
  };
  for (const cell of document.querySelectorAll("[data-figure]")) say(cell, texts[cell.dataset.figure] ?? NOTHING);
  for (const key of ["failing", "letters"]) {
    const isBad = key === "failing" ? total.failing : frame.letters_total;
    document.querySelector(`[data-figure=${key}]`).classList.toggle("bad", Boolean(isBad));
  }
}

function addPoint() {
  const last = points.at(-1);
  if (frame.total.in == null || (last && frame.time - last.time < settings.sample - 0.5)) return;
  points.push({ time: frame.time, ...frame.total });
  points = points.filter((point) => point.time > frame.time - settings.history);
  showCharts(points);
}

function take(message) {
  if (message.history) {
    points = message.history;
    showCharts(points);
  }
  if (message.frame) {
    frame = message.frame;
    heardAt = performance.now();
    addPoint();
    render();
  }
  if (message.find) {
    found = message.find;
    render();
  }
  if (message.letter) letters.tell(message.letter);
  showProblem(message.problem ?? "");
}

// Whether it is live ----------------------------------------------------------------------------

function showProblem(text) {
  byId("problem").hidden = !text;
  say(byId("problem"), text);
}

function showState() {
  const isSilent = connection === "open" && performance.now() - heardAt > SILENCE * 1000;
  const state = byId("state");
  state.dataset.state = isSilent ? "silent" : connection;
  say(state, STATES[state.dataset.state]);
  say(byId("clock"), frame ? timeOfDay(frame.time) : "");
  document.body.classList.toggle("stale", isSilent || connection === "lost" || connection === "refused");
  if (isSilent) showProblem(SILENT);
}

function send(question) {
  if (connection === "open") bridge.send(question);
}

function search() {
  const text = wanted();
  const isMore = frame && ["channels", "letters"].some((name) => frame[`${name}_total`] > frame[name].length);
  if (!text) found = null;
  else if (isMore) send({ find: text });
}

byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("filter-text").addEventListener("input", () => {
  search();
  render();
});
setInterval(search, SEARCH);
setInterval(showState, 500);

take(opening);
bridge.connect(settings.live, undefined, { maxReconnectionDelay: 5000 });
bridge.listen(take);
bridge.socket.addEventListener("open", () => {
  connection = "open";
  heardAt = performance.now();
  letters.askAgain();
  showState();
});
bridge.socket.addEventListener("close", (event) => {
  connection = event.code === NOT_ALLOWED ? "refused" : "lost";
  if (connection === "refused") bridge.socket.close(1000, "", { keepClosed: true });
  showState();
});
