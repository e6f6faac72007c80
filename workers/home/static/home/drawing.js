// Dots that move through the drawing, one for each message, unless less motion is wanted.

const DURATION = 1100;
const MOST = 4; // of one kind in one second
const ways = {
  request: [["down"], ["up"]],
  group: [["group-left", "group-middle", "group-right"]],
  task: [["task"]],
};
const dots = document.querySelector(".drawing .dots");
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Show that `number` messages have gone this way. */
export function move(kind, number) {
  if (still.matches || document.hidden) return;
  for (let index = 0; index < Math.min(number, MOST); index += 1) {
    ways[kind].forEach((together, leg) => {
      const delay = (index * DURATION) / MOST + leg * DURATION;
      for (const way of together) run(way, delay);
    });
  }
}

function run(way, delay) {
  const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  dot.setAttribute("r", "6");
  dot.setAttribute("class", way);
  dots.append(dot);
  const steps = [
    { offsetDistance: "0%", opacity: 1 },
    { offsetDistance: "100%", opacity: 1 },
  ];
  dot.animate(steps, { duration: DURATION, delay, easing: "ease-in-out" }).finished.finally(() => dot.remove());
}
