// Dead letters: each can be opened, put back and deleted, and so can all of a channel.

import { dateAndTime, duration, handOn, make, NOTHING, number, say } from "./format.js";
import { blocks } from "./tables.js";

const DEEDS = {
  requeue: { name: "Requeue", past: "put back", question: "Put back" },
  delete: { name: "Delete", past: "deleted", question: "Delete for good" },
};
const ALL = "";

/** `ask(id)` requests a letter in full, which `tell(letter)` shows. Returns `{ show, tell }`. */
export function deadLetters({ address, mayAct, ask }) {
  const [form, note] = [document.getElementById("deeds"), document.getElementById("letters-note")];
  const list = document.getElementById("letters");
  const choice = document.getElementById("deeds-channel");
  const open = new Map();
  let isBusy = false;
  let now = 0;

  const show = blocks(list, create, "No dead letters.");

  function create(row) {
    const age = make("span", { className: "quiet", title: dateAndTime(row.died) });
    const details = make("details", {},
      make("summary", {},
        make("b", {}, row.error || "Given up"),
        make("span", { className: "facts" },
          make("code", {}, row.channel), " ",
          make("span", { className: "quiet" }, attempts(row.attempts)), " ", age)));
    const inside = make("div", { className: "inside" }, make("p", { className: "quiet" }, "Loading…"));
    details.append(inside);
    details.addEventListener("toggle", () => {
      if (!details.open) return open.delete(row.id);
      open.set(row.id, { inside, row });
      return ask(row.id);
    });
    const element = make("li", { className: "letter", "data-id": row.id }, details);
    if (mayAct) element.append(buttons(row));
    return { element, update: () => say(age, `${duration(Math.max(0, now - row.died))} ago`) };
  }

  function buttons(row) {
    const choose = (deed) => () => carryOut(deed, { id: row.id }, 1);
    return make("p", { className: "buttons" },
      make("button", { type: "button", onclick: choose("requeue") }, DEEDS.requeue.name),
      make("button", { type: "button", className: "danger", onclick: choose("delete") }, DEEDS.delete.name));
  }

  function tell(letter) {
    const found = open.get(letter.id);
    if (!found) return;
    if (letter.gone) {
      found.inside.replaceChildren(make("p", {}, "It is gone: somebody else has dealt with it."));
      return;
    }
    const facts = [
      ["When", `${dateAndTime(letter.died)} (${letter.when})`],
      ["Worker", letter.worker || NOTHING],
      ["ID", letter.id],
    ];
    found.inside.replaceChildren(
      make("dl", {}, ...facts.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)])),
      make("h4", {}, "Content"), make("pre", { tabIndex: 0 }, letter.content),
      ...(letter.traceback ? [make("h4", {}, "Traceback"), make("pre", { tabIndex: 0 }, letter.traceback)] : []));
  }

  function showChoices(rows, total) {
    if (!total) handOn(form, list);
    form.hidden = !mayAct || !total;
    const names = [ALL, ...new Set(rows.map((row) => row.channel))];
    const known = [...choice.options].map((option) => option.value);
    if (names.join("\n") === known.join("\n")) return;
    const chosen = choice.value;
    choice.replaceChildren(...names.map((name) =>
      make("option", { value: name }, name || "of all channels")));
    choice.value = names.includes(chosen) ? chosen : ALL;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const deed = event.submitter.value;
    const which = choice.value ? { channel: choice.value } : { all: "1" };
    const of = choice.value ? `all dead letters of ${choice.value}` : "all dead letters";
    if (await isSure(`${DEEDS[deed].question} ${of}?`, DEEDS[deed].name)) carryOut(deed, which);
  });

  async function carryOut(deed, which, single = 0) {
    if (isBusy) return;
    isBusy = true;
    let done = 0;
    let answer = { until: 0 };
    do {
      say(note, done ? `${number(done)} ${DEEDS[deed].past} so far…` : "Working…");
      answer = await post({ deed, ...which, until: answer.until });
      done += answer.done;
    } while (answer.more && answer.done);
    isBusy = false;
    const count = done === 1 ? "1 dead letter" : `${number(done)} dead letters`;
    const gone = single && !done && !answer.problem ? " Somebody else has dealt with it." : "";
    say(note, `${count} ${DEEDS[deed].past}.${gone} ${answer.problem ?? ""}`.trim());
  }

  async function post(fields) {
    const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
    try {
      const response = await fetch(address, {
        method: "POST",
        headers: { "X-CSRFToken": token },
        body: new URLSearchParams(fields),
      });
      if (response.headers.get("Content-Type") === "application/json") return await response.json();
      return { done: 0, problem: `The server answers ${response.status}: reload the page.` };
    } catch {
      return { done: 0, problem: "The server does not answer." };
    }
  }

  return {
    show(rows, total, time) {
      now = time;
      showChoices(rows, total);
      show(rows, (row) => row.id);
    },
    tell,
    /** The socket is back: what is open and was not answered is asked for again. */
    askAgain: () => open.forEach((_, id) => ask(id)),
  };
}

function attempts(times) {
  return times === 1 ? "1 attempt" : `${number(times)} attempts`;
}

function isSure(question, yes) {
  const dialog = document.getElementById("ask");
  say(document.getElementById("ask-text"), question);
  say(document.getElementById("ask-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
