// The toasts of every page: one socket brings what its user is notified of, and what has been dismissed
// in another tab. After a reconnect the page shows what is unseen then.

import { element } from "../site/element.js";

const VISIBLE = 3; // the others show when these are dismissed
const root = document.getElementById("toasts");
const lists = { alert: document.getElementById("alerts"), status: document.getElementById("notes") };
const dismissAll = document.getElementById("dismiss-all");
const shown = new Map(); // id → item, in the order in which they came
const gone = new Set(); // what was dismissed is not shown again by a list that was made before
let stale = new Set(); // shown before the connection was lost: perhaps dismissed elsewhere since
const bridge = new window.channels.WebSocketBridge();

function show({ id, text, level }) {
  stale.delete(id);
  if (shown.has(id) || gone.has(id)) return;
  const item = element("div", `toast ${level}`);
  const button = element("button", "quiet small", "×");
  button.type = "button";
  button.setAttribute("aria-label", `Dismiss: ${text}`);
  button.addEventListener("click", () => dismiss(id));
  item.append(element("span", "level", `${level}: `), element("span", "text", text), button);
  const isUrgent = level === "warning" || level === "error";
  (isUrgent ? lists.alert : lists.status).prepend(item);
  shown.set(id, item);
}

function remove(id) {
  gone.add(id);
  const item = shown.get(id);
  shown.delete(id);
  if (!item) return;
  const hadFocus = item.contains(document.activeElement);
  item.remove();
  if (hadFocus) (root.querySelector(".toast button") ?? document.getElementById("main")).focus();
}

/** Here at once, in the other tabs when the server says so; without a connection that waits for one. */
function dismiss(...ids) {
  bridge.send({ dismiss: ids });
  ids.forEach(remove);
  afterChange();
}

function afterChange() {
  [...shown.values()].reverse().forEach((item, age) => {
    item.classList.toggle("older", age > 0);
    item.hidden = age >= VISIBLE;
  });
  dismissAll.hidden = shown.size < 2;
  dismissAll.textContent = `Dismiss all ${shown.size}`;
  document.dispatchEvent(new CustomEvent("notifications"));
}

function take(content) {
  content.shown?.forEach(show);
  content.gone?.forEach(remove);
  if (content.unseen) {
    content.unseen.forEach(show);
    stale.forEach(remove);
  }
  if (content.signed_out) {
    bridge.socket.close(1000, "", { keepClosed: true });
    root.hidden = true;
  }
  afterChange();
}

bridge.connect(root.dataset.address, undefined, { maxEnqueuedMessages: 50 });
bridge.listen(take);
bridge.socket.addEventListener("open", () => {
  stale = new Set(shown.keys());
});

dismissAll.addEventListener("click", () => dismiss(...shown.keys()));

document.addEventListener("keydown", (press) => {
  if (press.key !== "Escape" || !shown.size || document.querySelector(":popover-open, dialog[open]")) return;
  dismiss([...shown.keys()].at(-1)); // the newest
});
