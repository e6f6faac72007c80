// The two charts of the dashboard: the last week day by day, and the totals of all that are kept.

export const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const sum = (week) => week.data.reduce((total, number) => total + number, 0);

function line(label, options) {
  const look = { cubicInterpolationMode: "monotone", borderWidth: 3, pointRadius: 4 };
  return { label, data: [], ...look, ...options };
}

function newChart(id, labels, datasets, { legend }) {
  return new Chart(document.getElementById(id), {
    type: "line",
    data: { labels, datasets },
    options: {
      maintainAspectRatio: false,
      animation: still.matches ? false : { duration: 350 },
      interaction: { mode: "index", intersect: false },
      plugins: { legend: { display: legend, align: "end", labels: { boxHeight: 0, boxWidth: 24 } } },
      scales: {
        x: { grid: { display: false }, ticks: { maxRotation: 0 } },
        y: { beginAtZero: true, ticks: { precision: 0 } },
      },
    },
  });
}

/** Draws on the canvases "week" and "totals"; `draw(weeks)` takes the weeks, oldest first. */
export function newCharts() {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 13;
  const week = newChart(
    "week",
    DAYS.map((day) => day.slice(0, 3)),
    [line("This week"), line("Week before", { borderDash: [6, 5], borderWidth: 2, pointRadius: 0 })],
    { legend: true },
  );
  const totals = newChart("totals", [], [line("Total", { fill: true })], { legend: false });
  const charts = [week, totals];

  function paint() {
    for (const chart of charts) {
      const [first, second] = chart.data.datasets;
      Object.assign(first, {
        borderColor: colour("--line"),
        pointBackgroundColor: colour("--sheet"),
        backgroundColor: `color-mix(in srgb, ${colour("--line")} 14%, transparent)`,
      });
      if (second) second.borderColor = colour("--quiet");
      chart.options.color = colour("--ink");
      for (const axis of Object.values(chart.options.scales)) {
        axis.ticks.color = colour("--quiet");
        axis.grid.color = colour("--edge");
        axis.border = { color: colour("--edge") };
      }
      chart.update();
    }
  }

  dark.addEventListener("change", paint);
  paint();

  return {
    draw(weeks) {
      const [before, last] = [weeks.at(-2), weeks.at(-1)];
      week.data.datasets[0].data = last.data;
      week.data.datasets[1].data = before?.data ?? [];
      totals.data.labels = weeks.map(({ number }) => `#${number}`);
      totals.data.datasets[0].data = weeks.map(sum);
      for (const chart of charts) chart.update();
    },
  };
}

/** What the figures beside the charts say of the weeks. */
export function figures(weeks) {
  const [before, last] = [weeks.at(-2), weeks.at(-1)];
  const best = Math.max(...last.data);
  const days = DAYS.filter((_, day) => last.data[day] === best);
  return {
    total: sum(last),
    before: before && sum(before),
    best: days.length === 1 ? `${days[0]}, ${best.toLocaleString("en")}` : best.toLocaleString("en"),
  };
}
