// How each metric is distributed: a row for each method and baseline, dots, quartiles and mean.

// As many dots tell how values lie; of more, evenly chosen ones are drawn, both ends among them.
const MOST_DOTS = 120;

function startDistributions() {
  if (!pairs.some((pair) => pair.scores.some((values) => values !== null))) {
    byId("scores-note").textContent = "No pair has scores.";
    return;
  }
  byId("scores-note").append(
    "A dot is a pair, the box its middle half with the median, the diamond the mean. ",
    "Bold is the best mean. Look at the baselines first: a method that does not beat the pixelwise ",
    "maximum has not earned its computing time.",
  );
  byId("panels").before(
    ...report.comparison.remarks.map((line) => element("p", { class: "hint" }, line)),
  );
  byId("panels").append(...metrics.map((_, metric) => panel(metric)));
}

function panel(metric) {
  const { name, summary, ranks } = metrics[metric];
  const columns = methods.map((_, method) => valuesOf(method, metric));
  const all = columns.flat();
  const head = element(
    "div",
    { class: "panel-head" },
    element("h3", {}, name + (ranks ? "" : " *")),
    element("p", { class: ranks ? "direction" : "direction warn" }, direction(metric)),
  );
  const note = element("p", { class: "summary" }, summary);
  if (!all.length) {
    return element("article", { class: "panel" }, head, note, element("p", {}, "Undefined for all."));
  }
  const scale = span(all);
  const { count: common, methods: compared } = report.comparison.metrics[metric];
  const winner = best(
    compared.map((each) => each?.mean ?? null),
    metric,
  );
  return element(
    "article",
    { class: "panel" },
    head,
    note,
    element(
      "ul",
      { class: "rows" },
      ...columns.map((values, method) => row(values, method, metric, scale, winner)),
    ),
    ...(common < pairs.length && methods.length > 1
      ? [element("p", { class: "wins" }, `Means and ranks are over ${count(common, "pair")}.`)]
      : []),
    element(
      "p",
      { class: "axis", "aria-hidden": "true" },
      element("span", {}, shown(scale.low, metric)),
      element("span", {}, shown(scale.high, metric)),
    ),
    ...wins(metric),
  );
}

/** The ends of the axis: those of the values, or a little around a single one. */
function span(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low === high) {
    const room = Math.abs(low) * 0.01 || 0.5;
    return { low: low - room, high: high + room };
  }
  return { low, high };
}

function row(values, method, metric, scale, winner) {
  const { name, baseline } = methods[method];
  const label = element("span", { class: "label", title: name }, name);
  const kind = baseline ? "row baseline" : "row";
  if (!values.length) {
    return element("li", { class: kind }, label, element("span", { class: "none" }, "undefined"));
  }
  const sorted = [...values].sort((a, b) => a - b);
  const found = report.comparison.metrics[metric].methods[method];
  if (found.mean === null) {
    return element("li", { class: kind }, label, element("span", { class: "none" }, "no common pair"));
  }
  const middle = found.mean;
  const text = shown(middle, metric) + (found.std === null ? "" : ` ± ${shown(found.std, metric)}`);
  const said =
    `mean ${text}, median ${shown(quantile(sorted, 0.5), metric)}, from ` +
    `${shown(sorted[0], metric)} to ${shown(sorted.at(-1), metric)}, ${count(values.length, "pair")}`;
  return element(
    "li",
    { class: kind },
    label,
    chart(method, metric, sorted, middle, scale, said),
    element(
      "span",
      { class: winner !== null && middle === winner ? "value best" : "value" },
      text,
      ...(found.rank === null ? [] : [element("span", { class: "rank" }, rankText(found))]),
    ),
  );
}

/** The mean rank, and p against the best: 2.05, p .031. */
function rankText({ rank, p }) {
  const tested = p === null ? "" : `, p ${p < 0.001 ? "< .001" : p.toFixed(3).replace(/^0/, "")}`;
  return `rank ${rank.toFixed(2)}${tested}`;
}

function chart(method, metric, sorted, middle, scale, said) {
  // Dots at both ends are whole: the axis keeps 2 percent free on either side.
  const at = (value) => `${2 + (96 * (value - scale.low)) / (scale.high - scale.low)}%`;
  const [low, centre, high] = [0.25, 0.5, 0.75].map((share) => quantile(sorted, share));
  const width = (96 * (high - low)) / (scale.high - scale.low);
  return drawing(
    "svg",
    { class: "chart", role: "img", "aria-label": said },
    drawing("line", { class: "range", x1: at(sorted[0]), x2: at(sorted.at(-1)), y1: "50%", y2: "50%" }),
    drawing("rect", { class: "box", x: at(low), width: `${width}%`, y: "22%", height: "56%", rx: 2 }),
    ...dots(method, metric).map(({ index, value, lift }) =>
      drawing(
        "circle",
        {
          class: "dot",
          cx: at(value),
          cy: `${50 + lift}%`,
          r: 2.2,
          onclick: () => openViewer(index, sortedPairs(method, metric, false)),
        },
        drawing("title", {}, `${pairs[index].name}: ${shown(value, metric)}`),
      ),
    ),
    drawing("line", { class: "median", x1: at(centre), x2: at(centre), y1: "18%", y2: "82%" }),
    drawing(
      "svg",
      { x: at(middle), y: "50%", overflow: "visible", width: 1, height: 1 },
      drawing("path", { class: "mean", d: "M0-4.5 4.5 0 0 4.5-4.5 0Z" }),
    ),
  );
}

function dots(method, metric) {
  const order = sortedPairs(method, metric, false).filter(
    (index) => scoreOf(pairs[index], method, metric) !== null,
  );
  const few = Math.min(MOST_DOTS, order.length);
  return Array.from({ length: few }, (_, place) => {
    const index = order[few > 1 ? Math.round((place * (order.length - 1)) / (few - 1)) : 0];
    // Spread by the golden ratio: neighbours lie apart, and the drawing is the same every time.
    const lift = (((place * 0.618034) % 1) - 0.5) * 48;
    return { index, value: scoreOf(pairs[index], method, metric), lift };
  });
}

/** In how many pairs each method is better than each baseline, of those where both are defined. */
function wins(metric) {
  if (!metrics[metric].ranks) return [];
  const lines = ownMethods.map((method) => {
    const parts = methods.flatMap((other, baseline) => {
      if (!other.baseline) return [];
      const both = pairs
        .map((pair) => [scoreOf(pair, method, metric), scoreOf(pair, baseline, metric)])
        .filter(([ours, theirs]) => ours !== null && theirs !== null);
      const won = both.filter(([ours, theirs]) =>
        metrics[metric].higher ? ours > theirs : ours < theirs,
      );
      return both.length ? [`${other.name} in ${won.length} of ${both.length}`] : [];
    });
    const who = ownMethods.length > 1 ? `${methods[method].name} better` : "Better";
    return parts.length ? element("p", { class: "wins" }, `${who} than ${parts.join(", ")}`) : null;
  });
  return lines.filter((line) => line !== null);
}
