// What was said on this page and is not known to be stored: it is shown as such, and kept over a reload,
// and until its author has signed in again.

import { dropUnsent, showUnsent } from "./log.js";

const key = `unsent ${document.getElementById("room").dataset.me} ${location.pathname}`;
const texts = new Map(JSON.parse(sessionStorage.getItem(key)) ?? []); // token → text, in their order

let oldest;

function keep() {
  sessionStorage.setItem(key, JSON.stringify([...texts]));
}

function newToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID() is for https alone
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Its token, with which it may be sent as often as it takes. */
export function add(text) {
  const token = newToken();
  texts.set(token, text);
  showUnsent(token, text);
  keep();
  return token;
}

/** It is stored, or cannot be. Its text, if it was said on this page. */
export function drop(token) {
  const text = texts.get(token);
  if (texts.delete(token)) {
    dropUnsent(token);
    keep();
  }
  return text;
}

export function forEach(call) {
  texts.forEach((text, token) => call(token, text));
}

/** Call `call` with the oldest, if it was the oldest the last time, too: it gets nowhere by itself. */
export function ifStuck(call) {
  const [token, text] = texts.entries().next().value ?? [];
  if (token && token === oldest) call(token, text);
  oldest = token;
}

forEach(showUnsent); // of before the reload
