// Every score in one table: sorted by any column, filtered, and saved as it is shown.

const ROWS = 100;

const table = { sort: "name", descending: false, all: false };

function startTable() {
  const methodBoxes = methods.map(({ name, baseline }, index) =>
    element(
      "label",
      {},
      element("input", {
        type: "checkbox",
        name: "method",
        value: index,
        checked: !baseline,
        onchange: showTable,
      }),
      ` ${name}`,
    ),
  );
  byId("table-methods").append(...methodBoxes);
  fillSelect(
    byId("table-metric"),
    metrics.map(({ name }, index) => [index, name]),
    0,
  );
  byId("table-controls").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["table-filter", "table-value"]) byId(id).addEventListener("input", showTable);
  for (const id of ["table-metric", "table-operator"]) byId(id).addEventListener("change", showTable);
  byId("table-more").addEventListener("click", () => {
    table.all = true;
    showTable();
  });
  byId("export-csv").addEventListener("click", () => save("csv", toCsv(tableRows())));
  byId("export-json").addEventListener("click", () => save("json", toJson(tableRows())));
  byId("rows").tHead.append(
    element("tr", {}, header("name", "name"), header("method", "method"), ...metrics.map(metricHeader)),
  );
  // Paper has no button that shows the rest.
  addEventListener("beforeprint", () => {
    table.all = true;
    showTable();
  });
  showTable();
}

function metricHeader({ name, ranks, higher, summary }, index) {
  const arrow = ranks ? (higher ? " ↑" : " ↓") : " *";
  return header(index, name + arrow, `${summary} ${capital(direction(index))}.`);
}

function header(column, label, title = null) {
  return element(
    "th",
    { scope: "col", "data-column": column, title },
    element("button", { type: "button", onclick: () => sortBy(column) }, label),
  );
}

/** Sort by a column: the best on top at first, then the other way round. */
function sortBy(column) {
  if (table.sort === column) table.descending = !table.descending;
  else table.descending = typeof column === "number" && metrics[column].higher;
  table.sort = column;
  showTable();
}

/** The rows that pass the filters, in order: {pair, method}; a failed pair has no method. */
function tableRows() {
  const part = byId("table-filter").value.trim().toLowerCase();
  const chosen = [...document.querySelectorAll("[name=method]:checked")].map((box) => Number(box.value));
  const passes = condition();
  const rows = pairs.flatMap((pair, index) => {
    if (!pair.name.toLowerCase().includes(part)) return [];
    const scored = chosen.filter((method) => pair.scores[method]);
    if (pair.error !== null && !pair.scores.some((values) => values !== null)) {
      return passes === null ? [{ index, pair, method: null }] : [];
    }
    return scored
      .filter((method) => passes === null || passes(pair, method))
      .map((method) => ({ index, pair, method }));
  });
  const sign = table.descending ? -1 : 1;
  return rows.sort((one, other) => sign * compare(one, other) || 0);
}

/** What the value asks for; null where none is given, or it is no number. */
function condition() {
  const text = byId("table-value").value.trim().replace(",", ".");
  const limit = Number(text);
  const valid = text === "" || Number.isFinite(limit);
  byId("table-value").setAttribute("aria-invalid", String(!valid));
  if (text === "" || !valid || !metrics.length) return null;
  const metric = Number(byId("table-metric").value);
  const atLeast = byId("table-operator").value === "ge";
  return (pair, method) => {
    const value = scoreOf(pair, method, metric);
    return value !== null && (atLeast ? value >= limit : value <= limit);
  };
}

function compare(one, other) {
  if (table.sort === "name") return names.compare(one.pair.name, other.pair.name);
  if (table.sort === "method") return (one.method ?? -1) - (other.method ?? -1);
  const value = ({ pair, method }) => (method === null ? null : scoreOf(pair, method, table.sort));
  const [a, b] = [value(one), value(other)];
  // What is undefined comes last either way.
  if (a === null || b === null) return ((a === null) - (b === null)) * (table.descending ? -1 : 1);
  return a - b;
}

function showTable() {
  const rows = tableRows();
  const limit = table.all ? rows.length : ROWS;
  const order = [...new Set(rows.map(({ index }) => index))];
  byId("rows").tBodies[0].replaceChildren(...rows.slice(0, limit).map((row) => tableRow(row, order)));
  for (const cell of byId("rows").tHead.rows[0].cells) {
    const column = cell.dataset.column;
    const sorted = String(table.sort) === column;
    const way = table.descending ? "descending" : "ascending";
    if (sorted) cell.setAttribute("aria-sort", way);
    else cell.removeAttribute("aria-sort");
  }
  const most = pairs.length * Math.max(1, methods.length);
  byId("table-count").textContent =
    `${count(rows.length, "row")}${rows.length < most ? ` of ${most}` : ""}. ` +
    "↑ higher is better, ↓ lower is better, * ranks nothing by itself.";
  byId("table-more").hidden = rows.length <= limit;
  byId("table-more").textContent = `Show all ${rows.length} rows`;
}

function tableRow({ index, pair, method }, order) {
  const name = element(
    "th",
    { scope: "row" },
    element("button", { type: "button", class: "link", onclick: () => openViewer(index, order) }, pair.name),
  );
  if (method === null) {
    const columns = metrics.length + 1;
    return element("tr", { class: "bad" }, name, element("td", { colspan: columns, class: "text" }, pair.error));
  }
  return element(
    "tr",
    { class: methods[method].baseline ? "baseline" : null },
    name,
    element("td", { class: "text" }, methods[method].name),
    ...metrics.map((_, metric) => element("td", {}, shown(scoreOf(pair, method, metric), metric))),
  );
}
