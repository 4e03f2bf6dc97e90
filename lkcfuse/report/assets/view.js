// Where one looks: one zoom and one centre for all panes, so that they move in step.
//
// The zoom is in multiples of the one that fits a pane, the centre in parts of the picture: both
// mean the same whatever the size of the pane, and from one pair to the next.

const MOST_ZOOM = 64;

const view = { zoom: 1, x: 0.5, y: 0.5 };

/** Pixels of the page to a pixel of the picture, in a pane, when it just fits. */
const fitScale = (pane, size) => Math.min(pane.width / size.width, pane.height / size.height);

function resetView() {
  Object.assign(view, { zoom: 1, x: 0.5, y: 0.5 });
}

/** Zoom by a factor so that one point of a pane, in pixels from its corner, stays in place. */
function zoomAt(factor, pane, size, point) {
  const before = fitScale(pane, size) * view.zoom;
  view.zoom = Math.min(MOST_ZOOM, Math.max(1, view.zoom * factor));
  const after = fitScale(pane, size) * view.zoom;
  const gap = 1 / before - 1 / after;
  view.x += ((point.x - pane.width / 2) * gap) / size.width;
  view.y += ((point.y - pane.height / 2) * gap) / size.height;
  keepInside(pane, size);
}

/** Move the picture by pixels of the page. */
function panBy(dx, dy, pane, size) {
  const scale = fitScale(pane, size) * view.zoom;
  view.x -= dx / (size.width * scale);
  view.y -= dy / (size.height * scale);
  keepInside(pane, size);
}

/** Leave no more of the pane empty than has to be. */
function keepInside(pane, size) {
  const scale = fitScale(pane, size) * view.zoom;
  const within = (centre, length, room) => {
    const half = room / (2 * length * scale);
    return half >= 0.5 ? 0.5 : Math.min(1 - half, Math.max(half, centre));
  };
  view.x = within(view.x, size.width, pane.width);
  view.y = within(view.y, size.height, pane.height);
}

/** The CSS transform that puts a plane of the picture's size where the view has it. */
function transformOf(pane, size) {
  const scale = fitScale(pane, size) * view.zoom;
  const left = pane.width / 2 - view.x * size.width * scale;
  const top = pane.height / 2 - view.y * size.height * scale;
  return { scale, text: `translate(${left}px, ${top}px) scale(${scale})` };
}
