// A table that keeps its rows: only what has changed is written, and a click on a head sorts.

import { handOn, make, say } from "./format.js";

/**
 * A table in `place`. `columns` are `{ title, text(row), order(row), number, mark(row), about(row) }`;
 * `heads` are `[title, number of columns]` above them. Rows are told apart by their `name`, or by
 * their place unless they are `keyed`. They are in the order in which they come, or `byName`, until
 * somebody sorts them. Returns `show(rows)`.
 */
export function table(place, columns, { heads = [], empty, byName = false, keyed = true }) {
  const bodies = new Map();
  let sorted = { by: null, descending: false };
  let last = [];

  const headRow = make("tr", {}, ...columns.map((column) => head(column)));
  const body = make("tbody");
  const top = heads.length
    ? [make("tr", {}, ...heads.map(headOfMany))]
    : [];
  const element = make("table", {}, make("thead", {}, ...top, headRow), body);
  const nothing = make("p", { className: "empty" }, empty);
  place.append(element, nothing);
  nothing.hidden = true;

  function headOfMany([title, span]) {
    return title ? make("th", { colSpan: span, scope: "colgroup" }, title) : make("td", { colSpan: span });
  }

  function head(column) {
    const cell = make("th", { scope: "col", className: column.number ? "number" : "" });
    cell.append(make("button", { type: "button", onclick: () => sortBy(column) }, column.title));
    return cell;
  }

  function sortBy(column) {
    const again = sorted.by === column;
    sorted = { by: column, descending: again ? !sorted.descending : Boolean(column.number) };
    columns.forEach((each, index) => {
      const cell = headRow.children[index];
      if (each === column) cell.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    show(last);
  }

  function inOrder(rows) {
    if (!sorted.by) return rows;
    const { order, text } = sorted.by;
    const value = (row) => (order ? order(row) : text(row)) ?? -1;
    const way = sorted.descending ? -1 : 1;
    return [...rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return x < y ? -way : x > y ? way : 0;
    });
  }

  function show(rows) {
    last = rows;
    nothing.hidden = rows.length > 0;
    if (!rows.length) handOn(element, place);
    element.hidden = rows.length === 0;
    const seen = new Set();
    inOrder(rows).forEach((row, index) => {
      const key = keyed ? row.name : index;
      seen.add(key);
      if (!bodies.has(key)) bodies.set(key, newRow());
      const line = bodies.get(key);
      if (body.children[index] !== line) body.insertBefore(line, body.children[index] ?? null);
      write(line, row);
    });
    for (const [key, line] of bodies) {
      if (seen.has(key)) continue;
      line.remove();
      bodies.delete(key);
    }
  }

  function newRow() {
    return make("tr", {}, ...columns.map((column, index) =>
      make(index ? "td" : "th", index ? { className: column.number ? "number" : "" } : { scope: "row" })));
  }

  function write(line, row) {
    columns.forEach((column, index) => {
      const cell = line.children[index];
      say(cell, column.text(row));
      const mark = column.mark?.(row) ?? "";
      if ((cell.dataset.mark ?? "") !== mark) cell.dataset.mark = mark;
      const title = column.about?.(row) ?? "";
      if (cell.title !== title) cell.title = title;
    });
  }

  if (byName) sortBy(columns[0]);
  return show;
}

/**
 * Blocks in a list that keep their elements: `create(row)` makes one, with a method `update(row)`.
 * Those that are gone go first, so that none of the others is moved, which would end its focus. One
 * that has the focus itself hands it on to the next, or to the list.
 */
export function blocks(list, create, empty) {
  const known = new Map();
  const nothing = make("li", { className: "empty" }, empty);

  return function show(rows, key = (row) => row.name) {
    const seen = new Set(rows.map((row) => key(row)));
    for (const [id, { element }] of known) {
      if (seen.has(id)) continue;
      const next = element.nextElementSibling ?? element.previousElementSibling;
      handOn(element, next?.querySelector("summary") ?? list);
      element.remove();
      known.delete(id);
    }
    rows.forEach((row, index) => {
      const id = key(row);
      if (!known.has(id)) known.set(id, create(row));
      const block = known.get(id);
      block.update(row);
      if (list.children[index] !== block.element) list.insertBefore(block.element, list.children[index] ?? null);
    });
    if (rows.length) nothing.remove();
    else list.append(nothing);
  };
}
