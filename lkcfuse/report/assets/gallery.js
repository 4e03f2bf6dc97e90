// The pairs as cards: the worst and the best first, by the metric and the method chosen.

const ENDS = 6;
const CARDS = 24;

const gallery = { order: [], visible: CARDS };

function startGallery() {
  const preferred = ["VIF", "Qabf", "SSIM"].map((name) =>
    metrics.findIndex((metric) => metric.name === name),
  );
  const ranking = metrics.findIndex((metric) => metric.ranks);
  const chosen = [...preferred, ranking, 0].find((metric) => metric >= 0);
  fillSelect(
    byId("gallery-method"),
    ownMethods.map((method) => [method, methods[method].name]),
    ownMethods[0],
  );
  byId("gallery-method-field").hidden = ownMethods.length < 2;
  fillSelect(
    byId("gallery-metric"),
    metrics.map((metric, index) => [index, metric.name + (metric.ranks ? "" : " *")]),
    chosen,
  );
  fillOrders();
  const again = () => {
    gallery.visible = CARDS;
    showGallery();
  };
  byId("gallery-controls").addEventListener("submit", (event) => event.preventDefault());
  byId("gallery-method").addEventListener("change", again);
  byId("gallery-order").addEventListener("change", again);
  byId("gallery-filter").addEventListener("input", again);
  byId("gallery-metric").addEventListener("change", () => {
    fillOrders();
    again();
  });
  byId("gallery-more").addEventListener("click", () => {
    const first = gallery.visible;
    gallery.visible += 2 * CARDS;
    showGallery();
    byId("gallery").querySelectorAll(".card")[first]?.focus();
  });
  showGallery();
}

const chosenMethod = () => Number(byId("gallery-method").value);
const chosenMetric = () => Number(byId("gallery-metric").value);

/** Name the orders: a metric that may not rank has no worst and no best. */
function fillOrders() {
  const select = byId("gallery-order");
  const ranks = metrics[chosenMetric()]?.ranks;
  const [low, high] = ranks ? ["Worst", "Best"] : ["Lowest", "Highest"];
  fillSelect(
    select,
    [
      ["ends", `${low} and ${high.toLowerCase()} first`],
      ["low", `${low} first`],
      ["high", `${high} first`],
      ["name", "By name"],
    ],
    select.value || "ends",
  );
}

/** The pairs in order, in groups with a heading: [heading, indices]. */
function galleryGroups() {
  const [method, metric] = [chosenMethod(), chosenMetric()];
  const order = byId("gallery-order").value;
  const part = byId("gallery-filter").value.trim().toLowerCase();
  const wanted = (index) => pairs[index].name.toLowerCase().includes(part);
  if (order === "name" || !metrics.length) {
    const all = pairs.map((_, index) => index).filter(wanted);
    return [["", all.sort((a, b) => names.compare(pairs[a].name, pairs[b].name))]];
  }
  const { ranks, higher } = metrics[metric];
  const lowIsWorst = !ranks || higher;
  const sorted = (descending) => sortedPairs(method, metric, descending).filter(wanted);
  const worst = sorted(!lowIsWorst);
  if (order === "low") return [["", worst]];
  if (order === "high") return [["", sorted(lowIsWorst)]];
  const defined = worst.filter((index) => scoreOf(pairs[index], method, metric) !== null);
  if (defined.length < 4) return [["", worst]];
  const some = Math.min(ENDS, Math.floor(defined.length / 2));
  const [low, high] = ranks ? ["Worst", "Best"] : ["Lowest", "Highest"];
  const groups = [
    [`${low} ${some}`, defined.slice(0, some)],
    [`${high} ${some}`, defined.slice(-some).reverse()],
  ];
  const taken = new Set(groups.flatMap(([, indices]) => indices));
  const others = worst.filter((index) => !taken.has(index));
  return others.length ? [...groups, ["The others", others]] : groups;
}

function showGallery() {
  const groups = galleryGroups();
  gallery.order = groups.flatMap(([, indices]) => indices);
  let room = gallery.visible;
  const parts = [];
  for (const [heading, indices] of groups) {
    if (room <= 0) break;
    if (heading) parts.push(element("h3", { class: "group-title" }, heading));
    parts.push(element("ol", { class: "cards" }, ...indices.slice(0, room).map(card)));
    room -= indices.length;
  }
  byId("gallery").replaceChildren(...parts);
  const hidden = gallery.order.length - gallery.visible;
  byId("gallery-more").hidden = hidden <= 0;
  byId("gallery-more").textContent = `Show ${Math.min(hidden, 2 * CARDS)} more of ${hidden}`;
  const metric = metrics[chosenMetric()];
  const none = gallery.order.length ? "" : "No pair has such a name. ";
  byId("gallery-note").textContent =
    none + (metric ? `${metric.name}: ${metric.summary} ${capital(direction(chosenMetric()))}.` : "");
  byId("gallery-note").classList.toggle("warn", metric !== undefined && !metric.ranks);
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function card(index) {
  const pair = pairs[index];
  const pictures = picturesOf(pair);
  const strip = pictures.length
    ? element("span", { class: "strip" }, ...pictures.map(thumbnail))
    : element("span", { class: "strip empty" }, pair.error ? "failed" : "no picture");
  return element(
    "li",
    {},
    element(
      "button",
      { type: "button", class: "card", onclick: () => openViewer(index, gallery.order) },
      strip,
      element("span", { class: "card-name" }, pair.name),
      cardScore(pair),
    ),
  );
}

function thumbnail(picture) {
  return element(
    "span",
    { class: "thumb" },
    element("img", {
      src: pictureUrl(picture),
      alt: "",
      width: picture.width,
      height: picture.height,
      decoding: "async",
    }),
    element("span", { class: "thumb-label" }, picture.label),
  );
}

/** The chosen metric's value, and by how much it differs from the pixelwise maximum's. */
function cardScore(pair) {
  const [method, metric] = [chosenMethod(), chosenMetric()];
  // With several methods, what is wrong with one of them is no matter of the others.
  const scored = pair.scores[method] !== null;
  if (pair.error !== null && (!scored || ownMethods.length < 2)) {
    return element("span", { class: "card-score bad" }, pair.error);
  }
  if (!metrics.length) return null;
  if (!scored) return element("span", { class: "card-score" }, "no image of this method");
  const value = scoreOf(pair, method, metric);
  const text = `${metrics[metric].name} ${value === null ? "undefined" : shown(value, metric)}`;
  const baseline = methods.findIndex((other) => other.baseline && other.name === "maximum");
  const theirs = baseline < 0 ? null : scoreOf(pair, baseline, metric);
  if (value === null || theirs === null) return element("span", { class: "card-score" }, text);
  const difference = value - theirs;
  const way = difference < 0 ? "below" : "above";
  const tone = !metrics[metric].ranks
    ? ""
    : difference > 0 === metrics[metric].higher && difference !== 0
      ? " good"
      : " poor";
  return element(
    "span",
    { class: "card-score" },
    text,
    element(
      "span",
      { class: `delta${tone}` },
      difference === 0
        ? "as the maximum"
        : `${shown(Math.abs(difference), metric)} ${way} the maximum`,
    ),
  );
}
