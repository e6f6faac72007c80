// The dashboard: draws each week that its socket brings, and pushes weeks as any program would.

import { DAYS, figures, newCharts } from "./charts.js";
import { openSocket, stateLine } from "../site/socket.js";

const byId = (id) => document.getElementById(id);
const dashboard = byId("dashboard");
const most = Number(dashboard.dataset.most); // weeks that are kept

// Weeks by their numbers. Each connection starts with the stored ones, and those that overtake
// them wait in `coming`: so nothing is missed, and a late week never hides a later one.
let weeks = new Map();
let coming = null;
let charts = null;

function hear({ weeks: heard, stored }) {
  const known = coming ?? weeks;
  for (const week of heard) known.set(week.number, week);
  if (stored) {
    weeks = known;
    coming = null;
  }
  if (!coming) show([...weeks.values()].sort((a, b) => a.number - b.number).slice(-most));
}

function show(kept) {
  byId("empty").hidden = kept.length > 0;
  byId("charts").hidden = kept.length === 0;
  if (!kept.length) return;
  charts ??= newCharts(); // a chart needs a canvas that has a size
  charts.draw(kept);
  const { total, before, best } = figures(kept);
  byId("total").textContent = total.toLocaleString("en");
  byId("change").textContent = before?.toLocaleString("en") ?? "–";
  byId("best").textContent = best;
  byId("told").textContent = `This week: ${kept.at(-1).data.join(", ")}, in all ${total}.`;
}

if (window.Chart) {
  const showState = stateLine(byId("state"));
  hear({ weeks: JSON.parse(byId("weeks").textContent) });
  openSocket(dashboard.dataset.socket, {
    onState(name, wait) {
      if (name === "open") coming = new Map();
      showState(name, wait);
    },
    onText: (text) => hear(JSON.parse(text)),
  });
} else {
  byId("missing").hidden = false;
  byId("state").hidden = byId("empty").hidden = true;
}

// The form ----------------------------------------------------------------------------------

const form = byId("form");
const problem = byId("problem");
const example = JSON.parse(form.dataset.example);

const inputs = DAYS.map((day, place) => {
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.type = "number";
  input.name = day.toLowerCase();
  input.value = example[place];
  label.append(day.slice(0, 3), input);
  label.className = "field";
  input.setAttribute("aria-label", day);
  byId("days").append(label);
  return input;
});

async function push() {
  const answer = await fetch(form.dataset.api, {
    method: "POST",
    headers: {
      Accept: "application/json",
      "Content-Type": "application/json",
      "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
    },
    body: JSON.stringify({ data: inputs.map(({ value }) => (value === "" ? null : Number(value))) }),
  });
  if (answer.status === 400) throw new Error(reasons(await answer.json()));
  if (!answer.ok) throw new Error(`The server said ${answer.status}. Try again.`);
  hear({ weeks: [await answer.json()] });
}

// Of `data` as a whole, or of single days by their places
function reasons({ data, detail }) {
  if (Array.isArray(data)) return data.join(" ");
  const days = Object.entries(data ?? {});
  return days.map(([day, texts]) => `${DAYS[day]}: ${texts.join(" ")}`).join(" ") || detail;
}

async function send() {
  try {
    await push();
    problem.hidden = true;
  } catch (error) {
    const away = error instanceof TypeError;
    problem.textContent = away ? "The server cannot be reached. Try again." : error.message;
    problem.hidden = false;
  }
}

form.addEventListener("submit", (submit) => {
  submit.preventDefault();
  send();
});

byId("random").addEventListener("click", () => {
  const level = 10 + Math.random() * 40;
  for (const input of inputs) input.value = Math.round(level * (0.4 + Math.random()));
  send();
});
