// Charts of the last minutes as plain SVG, with a table of the same figures for those who read it.

import { duration, make, number, onAxis, rate, say, timeOfDay } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 150;
const EDGE = { top: 8, right: 10, bottom: 22, left: 44 };
const PANELS = [
  { title: "Messages/s", show: rate, lines: [["in", "In"], ["out", "Out"], ["failing", "Failing"]] },
  { title: "Waiting messages", show: number, lines: [["waiting", "Waiting"]] },
  { title: "Open sockets", show: number, lines: [["sockets", "Sockets"]] },
];
/** So many times the usual pause between two points is a gap: nobody was there to record. */
const GAP = 4;

function svg(tag, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** The next round number above, whose half is one, too. */
function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map((each) => each * power).find((each) => each >= value);
}

class Panel {
  constructor({ title, show, lines }) {
    this.lines = lines;
    this.show = show;
    this.points = [];
    this.values = lines.map(() => make("b"));
    const legend = lines.map(([key, name], index) =>
      make("span", { className: "legend", "data-line": key }, name, " ", this.values[index]));
    this.when = make("span", { className: "when" });
    this.drawing = svg("svg", { role: "img", height: HEIGHT, "aria-label": title });
    this.element = make("figure", {},
      make("figcaption", {}, make("span", { className: "title" }, title), ...legend, this.when), this.drawing);
    this.drawing.addEventListener("pointermove", (event) => this.point(event));
    this.drawing.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  set(points, span, pause) {
    Object.assign(this, { points, span, pause });
    this.draw();
  }

  draw() {
    const width = this.element.clientWidth;
    if (!width || !this.span) return;
    const end = this.points.at(-1)?.time ?? Date.now() / 1000;
    const values = this.points.flatMap((point) => this.lines.map(([key]) => point[key] ?? 0));
    const top = ceiling(Math.max(0, ...values));
    const inner = { width: width - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom };
    this.x = (time) => EDGE.left + inner.width * (1 - (end - time) / this.span);
    this.y = (value) => EDGE.top + inner.height * (1 - value / top);
    this.drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const lines = this.lines.flatMap(([key]) => this.line(key));
    this.drawing.replaceChildren(...this.grid(width, top), ...this.ticks(end), ...lines);
    this.cursor = svg("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, visibility: "hidden" });
    this.drawing.append(this.cursor);
    this.tell(this.points.at(-1));
    this.drawing.setAttribute("aria-label", this.inWords());
  }

  /** Lines at the bottom, the middle and the top; there is no half of a message. */
  grid(width, top) {
    const middle = this.show === number && top === 1 ? [] : [top / 2];
    return [0, ...middle, top].flatMap((value) => [
      svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: this.y(value), y2: this.y(value) }),
      svg("text", { x: EDGE.left - 6, y: this.y(value) + 4, "text-anchor": "end" }, onAxis(value)),
    ]);
  }

  ticks(end) {
    return [1, 0.5, 0].map((part) => svg("text", {
      x: this.x(end - part * this.span), y: HEIGHT - 5,
      "text-anchor": part === 1 ? "start" : part ? "middle" : "end",
    }, part ? `−${duration(part * this.span).replace(" 0 s", "")}` : "now"));
  }

  /** The line in pieces: it is broken where nothing was recorded. */
  line(key) {
    const pieces = [];
    this.points.forEach((point, index) => {
      if (point[key] == null) return;
      const before = this.points[index - 1];
      if (!pieces.length || before[key] == null || point.time - before.time > GAP * this.pause) pieces.push([]);
      pieces.at(-1).push(`${this.x(point.time).toFixed(1)},${this.y(point[key]).toFixed(1)}`);
    });
    return pieces.map((each) => each.length > 1
      ? svg("polyline", { points: each.join(" "), "data-line": key })
      : svg("circle", { cx: each[0].split(",")[0], cy: each[0].split(",")[1], r: 2, "data-line": key }));
  }

  point(event) {
    if (!this.points.length || !this.x) return;
    const at = event && event.clientX - this.drawing.getBoundingClientRect().left;
    const near = (point) => Math.abs(this.x(point.time) - at);
    const found = event ? this.points.reduce((a, b) => (near(b) < near(a) ? b : a)) : this.points.at(-1);
    this.cursor.setAttribute("visibility", event ? "visible" : "hidden");
    this.cursor.setAttribute("x1", this.x(found.time));
    this.cursor.setAttribute("x2", this.x(found.time));
    this.tell(found, Boolean(event));
  }

  tell(point, isPast = false) {
    this.lines.forEach(([key], index) => say(this.values[index], this.show(point?.[key])));
    say(this.when, isPast ? timeOfDay(point.time) : "");
  }

  inWords() {
    const last = this.points.at(-1);
    if (!last) return "No figures yet";
    return this.lines.map(([key, name]) => `${name}: ${this.show(last[key])} now, ` +
      `${this.show(Math.max(...this.points.map((point) => point[key] ?? 0)))} at most`).join("; ");
  }
}

/** The charts in `place`, and their figures in the `details`; returns `set(points)`. */
export function charts(place, details, { history, sample }) {
  const panels = PANELS.map((each) => new Panel(each));
  place.append(...panels.map((each) => each.element));
  const lines = PANELS.flatMap((panel) => panel.lines.map(([key, name]) => [key, name, panel.show]));
  let points = [];

  function writeTable() {
    if (!details.open) return;
    const heads = ["Time", ...lines.map(([, name]) => name)];
    const rows = [...points].reverse().map((point) => make("tr", {},
      make("th", { scope: "row" }, timeOfDay(point.time)),
      ...lines.map(([key, , show]) => make("td", { className: "number" }, show(point[key])))));
    details.querySelector(".scroll").replaceChildren(make("table", {},
      make("thead", {}, make("tr", {}, ...heads.map((head, index) =>
        make("th", { scope: "col", className: index ? "number" : "" }, head)))),
      make("tbody", {}, ...rows)));
  }

  details.addEventListener("toggle", writeTable);
  return function set(all) {
    points = all;
    panels.forEach((panel) => panel.set(points, history, sample));
    writeTable();
  };
}
