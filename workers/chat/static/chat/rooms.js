// The list of rooms: its socket says when something has changed, and the list is drawn again.

import { openSocket } from "../site/socket.js";
import { refresh } from "../site/refresh.js";

const PAUSE = 300; // milliseconds, in which many may come and go
const rooms = document.getElementById("rooms");
const address = rooms.dataset.address;
let timer;

function refreshSoon() {
  timer ??= setTimeout(() => {
    timer = undefined;
    refresh("#rooms", address);
  }, PAUSE);
}

openSocket(address, {
  onText: refreshSoon,
  onState: (name) => name === "open" && refreshSoon(), // for what was missed
});
