// The rows as files: the columns, digits and empty cells are those of `lkcfuse eval`'s tables.

function toCsv(rows) {
  // A spreadsheet computes what begins like a formula, unless an apostrophe makes it text.
  const guarded = (text) => (/^'*[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",;\t\r\n]/.test(text) || text === "" ? `"${text.replaceAll('"', '""')}"` : text);
  const cell = (text) => quoted(guarded(text));
  const lines = [["name", "method", ...metrics.map(({ name }) => name)]];
  for (const { pair, method } of rows) {
    if (method === null) continue;
    const values = metrics.map((_, metric) => scoreOf(pair, method, metric) ?? "");
    lines.push([cell(pair.name), cell(methods[method].name), ...values]);
  }
  return lines.map((line) => `${line.join(",")}\n`).join("");
}

function toJson(rows) {
  const records = rows
    .filter(({ method }) => method !== null)
    .map(({ pair, method }) => ({
      name: pair.name,
      method: methods[method].name,
      ...Object.fromEntries(metrics.map(({ name }, metric) => [name, scoreOf(pair, method, metric)])),
    }));
  return `${JSON.stringify({ rows: records }, null, 1)}\n`;
}

function save(suffix, text) {
  const type = { csv: "text/csv", json: "application/json" }[suffix];
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: url, download: `scores.${suffix}` });
  document.body.append(link);
  link.click();
  link.remove();
  // Not at once: the browser may only begin to read it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
