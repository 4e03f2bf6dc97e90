// Everything is put together when the whole page is there.

startTheme();
startOverview();
startGallery();
startDistributions();
startTable();
startViewer();
openFromAddress();
addEventListener("hashchange", openFromAddress);

/** An address that ends in #pair=NAME opens that pair. */
function openFromAddress() {
  const found = /^#pair=(.+)$/.exec(location.hash);
  if (!found) return;
  let name;
  try {
    name = decodeURIComponent(found[1]);
  } catch {
    return;
  }
  const index = pairs.findIndex((pair) => wellFormed(pair.name) === name);
  if (index >= 0) openViewer(index, gallery.order);
}
