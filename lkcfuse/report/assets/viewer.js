// One pair at full size: a divider between two pictures, the two in turn, or all side by side.

const viewer = {
  index: 0, // of the pair
  order: [], // the pairs that one goes through
  pictures: [],
  left: null, // keys of the pictures compared
  right: null,
  mode: "divider",
  divider: 0.5, // part of the pane's width
  strength: 1, // of results over the second source, as --strength
  flipped: false,
  timer: null,
  playing: false,
  pointers: new Map(),
};

const calm = matchMedia("(prefers-reduced-motion: reduce)");

function openViewer(index, order) {
  viewer.order = order.includes(index) ? order : [index, ...order];
  const dialog = byId("viewer");
  resetView();
  viewer.divider = 0.5;
  viewer.playing = !calm.matches;
  if (!dialog.open) dialog.showModal();
  document.documentElement.classList.add("looking");
  showPair(index);
  byId("stage").focus({ preventScroll: true });
}

function showPair(index) {
  const pair = pairs[index];
  viewer.index = index;
  viewer.pictures = picturesOf(pair);
  choosePictures();
  byId("viewer-name").textContent = pair.name;
  const place = viewer.order.indexOf(index) + 1;
  const size = pair.size ? `, ${pair.size[0]} × ${pair.size[1]}` : "";
  byId("viewer-position").textContent = `${place} of ${viewer.order.length}${size}`;
  byId("viewer-said").textContent = `Pair ${pair.name}, ${place} of ${viewer.order.length}`;
  byId("viewer-scores").replaceChildren(pairScores(pair));
  byId("viewer-files").replaceChildren(pairFiles(pair));
  setHash(`#pair=${encodeURIComponent(wellFormed(pair.name))}`);
  buildStage();
}

/** A name without halves of characters, which no address can hold. */
const wellFormed = (name) => name.replace(/[\ud800-\udfff]/gu, "\ufffd");

function setHash(hash) {
  try {
    history.replaceState(null, "", hash || location.pathname + location.search);
  } catch {
    // Some browsers allow no such change in a file; the page works without.
  }
}

/** Keep what was compared where this pair has it; else the second source and the first result. */
function choosePictures() {
  const keys = viewer.pictures.map((picture) => picture.key);
  const result = viewer.pictures.find(isResult)?.key;
  if (!keys.includes(viewer.left)) viewer.left = keys[0] ?? null;
  if (!keys.includes(viewer.right)) viewer.right = result ?? keys[1] ?? keys[0] ?? null;
  for (const side of ["left", "right"]) {
    fillSelect(
      byId(`viewer-${side}`),
      viewer.pictures.map(({ key, label }) => [key, label]),
      viewer[side],
    );
  }
}

const isResult = ({ key }) => key.startsWith("method:");

const pictureBy = (key) => viewer.pictures.find((picture) => picture.key === key);

/** The size in which all are drawn: that of the first source's file. */
function planeSize() {
  const { sourceWidth, sourceHeight } = viewer.pictures[0];
  return { width: sourceWidth, height: sourceHeight };
}

function paneSize() {
  const { clientWidth, clientHeight } = byId("stage").querySelector(".pane");
  return { width: clientWidth, height: clientHeight };
}

function buildStage() {
  const stage = byId("stage");
  stopBlinking();
  stage.dataset.mode = viewer.mode;
  byId("viewer-choice").hidden = viewer.mode === "all";
  byId("viewer-blinking").hidden = viewer.mode !== "blink";
  byId("viewer-mixing").hidden = !pictureBy("second") || !viewer.pictures.some(isResult);
  if (!viewer.pictures.length) {
    const reasons = Object.values(pairs[viewer.index].missing);
    const why = reasons.length ? reasons : ["There is no picture of this pair in this page."];
    stage.replaceChildren(element("div", { class: "nothing" }, ...why.map((text) => element("p", {}, text))));
    return;
  }
  if (viewer.mode === "all") {
    stage.replaceChildren(...viewer.pictures.map((picture) => pane([picture])));
  } else {
    const both = [pictureBy(viewer.left), pictureBy(viewer.right)];
    stage.replaceChildren(pane(both));
    if (viewer.mode === "divider") stage.firstChild.append(dividerHandle(both));
  }
  describeStage();
  if (viewer.mode === "blink") startBlinking();
  draw();
}

function pane(pictures) {
  const layers = pictures.map((picture) => element("div", { class: "layer" }, ...planes(picture)));
  const labels = pictures.map((picture, place) =>
    element("span", { class: place ? "tag right" : "tag", "aria-hidden": "true" }, picture.label),
  );
  return element("div", { class: "pane" }, ...layers, ...labels);
}

/** A picture, and below a result the second source, which shows through it at less than full strength. */
function planes(picture) {
  const own = plane(picture, `${picture.label} image of ${pairs[viewer.index].name}`);
  const second = pictureBy("second");
  if (!isResult(picture) || !second) return [own];
  own.classList.add("result");
  return [plane(second, ""), own];
}

function plane(picture, text) {
  return element("img", { class: "plane", src: pictureUrl(picture), alt: text, draggable: "false" });
}

function dividerHandle([left, right]) {
  return element(
    "div",
    {
      class: "divider",
      role: "slider",
      tabindex: 0,
      "aria-label": `Divider between ${left.label} and ${right.label}`,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-orientation": "horizontal",
      onpointerdown: dragDivider,
      onkeydown: keyOnDivider,
    },
    element("span", { class: "grip", "aria-hidden": "true" }, "⇔"),
  );
}

function describeStage() {
  const labels = viewer.pictures.map(({ label }) => label).join(", ");
  const both = [viewer.left, viewer.right].map((key) => pictureBy(key).label).join(" and ");
  byId("stage").setAttribute(
    "aria-label",
    { divider: `${both} with a divider`, blink: `${both} in turn`, all: labels }[viewer.mode],
  );
}

/** Put everything where the state has it. */
function draw() {
  const stage = byId("stage");
  if (!viewer.pictures.length || !stage.querySelector(".pane")) return;
  const [box, size] = [paneSize(), planeSize()];
  keepInside(box, size);
  const { scale, text } = transformOf(box, size);
  for (const plane of stage.querySelectorAll(".plane")) {
    plane.style.width = `${size.width}px`;
    plane.style.height = `${size.height}px`;
    plane.style.transform = text;
    plane.classList.toggle("pixels", scale >= 3);
  }
  for (const result of stage.querySelectorAll(".result")) {
    result.style.opacity = viewer.strength;
    // Unseen at full strength, when it could only show through where the result is transparent.
    result.previousSibling.hidden = viewer.strength === 1;
  }
  byId("viewer-zoom").textContent = `${Math.round(scale * 100)}%`;
  byId("viewer-out").disabled = view.zoom <= 1;
  const top = stage.querySelectorAll(".layer")[1];
  if (viewer.mode === "divider") {
    const percent = 100 * viewer.divider;
    top.style.clipPath = `inset(0 0 0 ${percent}%)`;
    const handle = stage.querySelector(".divider");
    handle.style.left = `${percent}%`;
    handle.setAttribute("aria-valuenow", Math.round(percent));
    handle.setAttribute("aria-valuetext", `${Math.round(percent)} percent from the left`);
  } else if (viewer.mode === "blink") {
    top.classList.toggle("away", !viewer.flipped);
    const tags = stage.querySelectorAll(".tag");
    tags[0].classList.toggle("away", viewer.flipped);
    tags[1].classList.toggle("away", !viewer.flipped);
  }
}

// Blinking: never more than three times a second, and never unasked where motion is not wanted.

function startBlinking() {
  viewer.flipped = false;
  setPlaying(viewer.playing);
}

function stopBlinking() {
  clearInterval(viewer.timer);
  viewer.timer = null;
}

function setPlaying(playing) {
  viewer.playing = playing;
  stopBlinking();
  if (playing && viewer.mode === "blink") {
    viewer.timer = setInterval(flip, 1000 / Number(byId("viewer-speed").value));
  }
  byId("viewer-pause").textContent = playing ? "Pause" : "Play";
}

function flip() {
  viewer.flipped = !viewer.flipped;
  draw();
}

function setMode(mode) {
  viewer.mode = mode;
  for (const radio of document.querySelectorAll("[name=mode]")) radio.checked = radio.value === mode;
  buildStage();
}

function setStrength(strength) {
  viewer.strength = Number(strength);
  byId("viewer-strength").setAttribute("aria-valuetext", `${Math.round(100 * viewer.strength)} percent`);
  draw();
}

function swapSides() {
  [viewer.left, viewer.right] = [viewer.right, viewer.left];
  choosePictures();
  buildStage();
}

function step(by) {
  const place = viewer.order.indexOf(viewer.index) + by;
  if (place >= 0 && place < viewer.order.length) showPair(viewer.order[place]);
}

function zoomBy(factor, point) {
  if (!viewer.pictures.length) return;
  const box = paneSize();
  zoomAt(factor, box, planeSize(), point ?? { x: box.width / 2, y: box.height / 2 });
  draw();
}

function zoomToActual(point) {
  if (!viewer.pictures.length) return;
  zoomBy(1 / (fitScale(paneSize(), planeSize()) * view.zoom), point);
}

function zoomToFit() {
  resetView();
  draw();
}

function pairScores(pair) {
  if (!metrics.length || pair.scores.every((values) => values === null)) {
    return element("p", { class: "hint" }, pair.error ?? "No scores.");
  }
  const winners = metrics.map((_, metric) =>
    best(methods.map((__, method) => scoreOf(pair, method, metric)), metric),
  );
  return element(
    "table",
    { class: "small" },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", { scope: "col" }, "method"),
        ...metrics.map(({ name, ranks, higher }) =>
          element("th", { scope: "col" }, `${name}${ranks ? (higher ? " ↑" : " ↓") : " *"}`),
        ),
      ),
    ),
    element(
      "tbody",
      {},
      ...methods.map(({ name, baseline }, method) =>
        element(
          "tr",
          { class: baseline ? "baseline" : null },
          element("th", { scope: "row" }, name),
          ...metrics.map((_, metric) => {
            const value = scoreOf(pair, method, metric);
            const won = value !== null && value === winners[metric];
            return element("td", { class: won ? "best" : null }, shown(value, metric));
          }),
        ),
      ),
    ),
  );
}

function pairFiles(pair) {
  const labels = Object.fromEntries(report.pictures.map(({ key, label }) => [key, label]));
  const lines = Object.entries(pair.files).flatMap(([key, path]) => {
    const picture = pair.pictures[key];
    const scaled =
      picture && picture.width < picture.sourceWidth
        ? ` (shown at ${picture.width} × ${picture.height} of ${picture.sourceWidth} × ${picture.sourceHeight})`
        : "";
    const missing = pair.missing[key] ? `: ${pair.missing[key]}` : scaled;
    return [element("dt", {}, labels[key] ?? key), element("dd", {}, path + missing)];
  });
  if (pair.seconds !== null) {
    lines.push(element("dt", {}, "network"), element("dd", {}, `${pair.seconds.toFixed(2)} s`));
  }
  if (pair.error !== null) {
    lines.push(element("dt", {}, "error"), element("dd", { class: "bad" }, pair.error));
  }
  return element("dl", { class: "files" }, ...lines);
}
