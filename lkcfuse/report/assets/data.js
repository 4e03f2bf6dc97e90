// The report's data, and what is asked of it: see record.py for its shape.

const report = JSON.parse(byId("data").textContent);
const { metrics, methods, pairs } = report;

const names = new Intl.Collator(undefined, { numeric: true });

const scoreOf = (pair, method, metric) => pair.scores[method]?.[metric] ?? null;

/** Indices of the methods that are no baselines. */
const ownMethods = methods.map((_, index) => index).filter((index) => !methods[index].baseline);

const valuesOf = (method, metric) =>
  pairs.map((pair) => scoreOf(pair, method, metric)).filter((value) => value !== null);

/** How many decimals a metric's values are shown with: four digits that count, or so. */
const decimals = metrics.map((_, metric) => {
  let largest = 0;
  for (const pair of pairs) {
    for (let method = 0; method < methods.length; method += 1) {
      largest = Math.max(largest, Math.abs(scoreOf(pair, method, metric) ?? 0));
    }
  }
  return Math.max(1, 4 - String(Math.floor(largest)).length + (largest < 1 ? 1 : 0));
});

const shown = (value, metric) => (value === null ? "–" : value.toFixed(decimals[metric]));

function quantile(sorted, share) {
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** The best of some values by a metric; null where it may not rank, or nothing is defined. */
function best(values, metric) {
  const defined = values.filter((value) => value !== null);
  if (!metrics[metric].ranks || defined.length < 2) return null;
  return metrics[metric].higher ? Math.max(...defined) : Math.min(...defined);
}

/** Indices of pairs from the lowest to the highest value; those without one come last. */
function sortedPairs(method, metric, descending) {
  const sign = descending ? -1 : 1;
  const value = (index) => scoreOf(pairs[index], method, metric);
  return pairs
    .map((_, index) => index)
    .sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (a - b) || names.compare(pairs[one].name, pairs[other].name);
    });
}

function pictureUrl(picture) {
  return `data:image/webp;base64,${byId(`picture-${picture.number}`).textContent}`;
}

/** The pictures that a pair has, in the order they are shown: {key, label, ...}. */
const picturesOf = (pair) =>
  report.pictures
    .filter(({ key }) => pair.pictures[key])
    .map((kind) => ({ ...kind, ...pair.pictures[kind.key] }));

function direction(metric) {
  if (!metrics[metric].ranks) return "rises with noise too";
  return metrics[metric].higher ? "higher is better" : "lower is better";
}
