// The page of notifications: its list is drawn again whenever one has come or gone.

import { refresh } from "../site/refresh.js";

const PAUSE = 200; // milliseconds, in which many may come; and for the server to store what is dismissed
let timer;

document.addEventListener("notifications", () => {
  clearTimeout(timer);
  timer = setTimeout(refresh, PAUSE, "#latest");
});
