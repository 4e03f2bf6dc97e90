// The viewer's pointers and keys.

const PAN_STEP = 60; // pixels of the page, for an arrow key
const ZOOM_STEP = 1.25;

function startViewer() {
  const [dialog, stage] = [byId("viewer"), byId("stage")];
  const onClick = (id, action) => byId(id).addEventListener("click", action);
  onClick("viewer-previous", () => step(-1));
  onClick("viewer-next", () => step(1));
  onClick("viewer-close", () => dialog.close());
  onClick("viewer-swap", swapSides);
  onClick("viewer-pause", () => setPlaying(!viewer.playing));
  onClick("viewer-in", () => zoomBy(ZOOM_STEP));
  onClick("viewer-out", () => zoomBy(1 / ZOOM_STEP));
  onClick("viewer-fit", zoomToFit);
  onClick("viewer-actual", () => zoomToActual());
  byId("viewer-speed").addEventListener("input", () => setPlaying(viewer.playing));
  byId("viewer-strength").addEventListener("input", (event) => setStrength(event.target.value));
  for (const radio of document.querySelectorAll("[name=mode]")) {
    radio.addEventListener("change", () => setMode(radio.value));
  }
  for (const side of ["left", "right"]) {
    byId(`viewer-${side}`).addEventListener("change", (event) => {
      viewer[side] = event.target.value;
      buildStage();
    });
  }
  stage.addEventListener("pointerdown", startPan);
  stage.addEventListener("pointermove", movePan);
  stage.addEventListener("pointerup", endPan);
  stage.addEventListener("pointercancel", endPan);
  stage.addEventListener("wheel", wheelZoom, { passive: false });
  stage.addEventListener("dblclick", (event) => {
    if (view.zoom > 1) zoomToFit();
    else zoomToActual(pointIn(event));
  });
  dialog.addEventListener("keydown", keyInViewer);
  dialog.addEventListener("close", () => {
    stopBlinking();
    viewer.pointers.clear();
    document.documentElement.classList.remove("looking");
    setHash("");
  });
  new ResizeObserver(draw).observe(stage);
}

/** Where an event is in the pane under it, in pixels from the pane's corner. */
function pointIn(event) {
  const pane = event.target.closest?.(".pane") ?? byId("stage").querySelector(".pane");
  const corner = pane.getBoundingClientRect();
  return { x: event.clientX - corner.left, y: event.clientY - corner.top };
}

function startPan(event) {
  if (event.button !== 0 || event.target.closest(".divider") || !viewer.pictures.length) return;
  viewer.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  byId("stage").setPointerCapture(event.pointerId);
  byId("stage").classList.add("grabbing");
}

function movePan(event) {
  const before = viewer.pointers.get(event.pointerId);
  if (!before) return;
  const now = { x: event.clientX, y: event.clientY };
  const other = [...viewer.pointers].find(([id]) => id !== event.pointerId)?.[1];
  viewer.pointers.set(event.pointerId, now);
  if (!other) {
    panBy(now.x - before.x, now.y - before.y, paneSize(), planeSize());
  } else {
    const apart = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
    const corner = byId("stage").querySelector(".pane").getBoundingClientRect();
    const middle = { x: (now.x + other.x) / 2 - corner.left, y: (now.y + other.y) / 2 - corner.top };
    panBy((now.x - before.x) / 2, (now.y - before.y) / 2, paneSize(), planeSize());
    zoomAt(apart(now) / apart(before), paneSize(), planeSize(), middle);
  }
  draw();
}

function endPan(event) {
  viewer.pointers.delete(event.pointerId);
  if (!viewer.pointers.size) byId("stage").classList.remove("grabbing");
}

function wheelZoom(event) {
  if (!viewer.pictures.length) return;
  event.preventDefault();
  // Wheels tell lines or pixels; either way a notch is about a sixth.
  const amount = event.deltaMode === 1 ? event.deltaY * 30 : event.deltaY;
  zoomBy(Math.exp(-Math.max(-200, Math.min(200, amount)) / 600), pointIn(event));
}

function dragDivider(event) {
  if (event.button !== 0) return;
  event.preventDefault();
  const handle = event.currentTarget;
  handle.focus({ preventScroll: true });
  handle.setPointerCapture(event.pointerId);
  const move = ({ clientX }) => {
    const box = handle.parentElement.getBoundingClientRect();
    moveDivider((clientX - box.left) / box.width);
  };
  const end = () => {
    handle.removeEventListener("pointermove", move);
    handle.removeEventListener("pointerup", end);
    handle.removeEventListener("pointercancel", end);
  };
  handle.addEventListener("pointermove", move);
  handle.addEventListener("pointerup", end);
  handle.addEventListener("pointercancel", end);
}

function moveDivider(place) {
  viewer.divider = Math.min(1, Math.max(0, place));
  draw();
}

function keyOnDivider(event) {
  const places = {
    ArrowLeft: viewer.divider - 0.02,
    ArrowDown: viewer.divider - 0.02,
    ArrowRight: viewer.divider + 0.02,
    ArrowUp: viewer.divider + 0.02,
    Home: 0,
    End: 1,
  };
  if (!(event.key in places)) return;
  event.preventDefault();
  event.stopPropagation();
  moveDivider(places[event.key]);
}

const VIEWER_KEYS = {
  n: () => step(1),
  PageDown: () => step(1),
  p: () => step(-1),
  PageUp: () => step(-1),
  d: () => setMode("divider"),
  b: () => setMode("blink"),
  s: () => setMode("all"),
  x: swapSides,
  "+": () => zoomBy(ZOOM_STEP),
  "=": () => zoomBy(ZOOM_STEP),
  "-": () => zoomBy(1 / ZOOM_STEP),
  0: zoomToFit,
  1: () => zoomToActual(),
};

const STAGE_KEYS = {
  ArrowLeft: () => pan(PAN_STEP, 0),
  ArrowRight: () => pan(-PAN_STEP, 0),
  ArrowUp: () => pan(0, PAN_STEP),
  ArrowDown: () => pan(0, -PAN_STEP),
  " ": flipByHand,
};

function pan(dx, dy) {
  if (!viewer.pictures.length) return;
  panBy(dx, dy, paneSize(), planeSize());
  draw();
}

/** Show the other picture, and go on by hand from there. */
function flipByHand() {
  if (viewer.mode !== "blink") setMode("blink");
  setPlaying(false);
  flip();
}

function keyInViewer(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  if (target.matches("select, input:not([type=radio])")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // Arrows and Space mean something else on buttons and in what scrolls.
  const action = VIEWER_KEYS[key] ?? (target.closest("#stage") ? STAGE_KEYS[key] : undefined);
  if (!action) return;
  event.preventDefault();
  action();
}
