// Who is here: told whole when the page connects, and then one by one.

import { element } from "../site/element.js";
import { face } from "./log.js";

const list = document.getElementById("people");
const count = document.getElementById("count");
const me = Number(document.getElementById("room").dataset.me);
const here = new Map(); // id → user
let gone = new Set(); // since the page is connected: a list made before may still come

function show() {
  const users = [...here.values()].sort((one, other) => one.name.localeCompare(other.name));
  list.replaceChildren(
    ...users.map((user) => {
      const item = element("li");
      const name = user.id === me ? `${user.name} (you)` : user.name;
      item.append(face(user), element("span", "", name));
      return item;
    }),
  );
  count.textContent = users.length;
}

/** Connected anew: the whole list is to come. */
export function forget() {
  here.clear();
  gone = new Set();
}

export function come(...users) {
  for (const user of users) {
    here.set(user.id, user);
    gone.delete(user.id);
  }
  show();
}

/** All who were here when the list was made. */
export function comeAll(users) {
  come(...users.filter((user) => !gone.has(user.id)));
}

export function go(user) {
  here.delete(user.id);
  gone.add(user.id);
  show();
}
