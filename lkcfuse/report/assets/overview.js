// What the report is about, at its top; the settings, at its end.

function startOverview() {
  const failed = pairs.filter((pair) => pair.error !== null);
  const written = report.written.replace("T", " ").replace(/:..Z$/, " UTC");
  byId("subtitle").textContent = `Task ${report.task}, ${written}`;
  const seconds = pairs.map((pair) => pair.seconds).filter((value) => value !== null);
  const own = ownMethods.map((index) => methods[index].name);
  const facts = [
    ["pairs", String(pairs.length)],
    ["failed", String(failed.length)],
    [own.length === 1 ? "method" : "methods", own.join(", ")],
    ["metrics", String(metrics.length)],
  ];
  if (seconds.length) facts.push(["median per pair", `${median(seconds).toFixed(2)} s`]);
  byId("facts").append(
    ...facts.map(([term, value]) =>
      element(
        "div",
        { class: term === "failed" && failed.length ? "fact bad" : "fact" },
        element("dt", {}, term),
        element("dd", {}, value),
      ),
    ),
  );
  showNotes(failed);
  byId("setting-groups").append(...report.settings.map(settingGroup));
  byId("colophon").textContent =
    `Written by lkcfuse ${report.version} on ${written}. ` +
    "A fused image is for looking at; its grey levels are no measurements. Not a medical device.";
}

function median(values) {
  return quantile([...values].sort((a, b) => a - b), 0.5);
}

function showNotes(failed) {
  const notes = [...report.notes];
  if (report.pictured < pairs.length) {
    notes.push(
      `${report.pictured} of ${pairs.length} pairs have pictures here, so that the page can be ` +
        "opened: the best and the worst by every metric, and others between them.",
    );
  }
  byId("notes").append(...notes.map((note) => element("p", { class: "notice" }, note)));
  if (!failed.length) return;
  byId("notes").append(
    element(
      "details",
      { class: "notice bad", open: failed.length <= 5 },
      element("summary", {}, `${count(failed.length, "pair")} failed`),
      element(
        "ul",
        {},
        ...failed.map((pair) =>
          element("li", {}, element("strong", {}, pair.name), `: ${pair.error}`),
        ),
      ),
    ),
  );
}

function settingGroup(section) {
  return element(
    "section",
    { class: "group" },
    element("h3", {}, section.title),
    element(
      "dl",
      {},
      ...section.entries.flatMap(([term, value]) => [
        element("dt", {}, term),
        element("dd", {}, value),
      ]),
    ),
  );
}
