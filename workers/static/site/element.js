// Elements for what comes by sockets. A text is set as a text: no markup in it does anything.

export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
