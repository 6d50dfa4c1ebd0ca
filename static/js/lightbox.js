/* One picture over the window, its siblings below. Arrows, Space (zoom), S, D, V, C, I, Delete, Escape. */

import { copy } from "./toast.js";

const dialog = document.getElementById("lightbox");
const part = (name) => dialog.querySelector(`[data-${name}]`);
const act = (name) => dialog.querySelector(`[data-act="${name}"]`);

/* A grid may hold thousands: so many on either side come along, and others once so few are left. */
const BESIDE = 60;
const EDGE = 12;

const LEAVE = new Set(["trash", "restore", "delete"]);

let links = [];
let at = 0;
let gallery = null;

const ACTS = {
  close: () => dialog.close(),
  previous: () => go(-1),
  next: () => go(1),
  zoom: toggleZoom,
  star: star,
  download: () => act("download").click(),
  again: () => act("again")?.click(),
  copy: () => links[at].dataset.prompt && copy(links[at].dataset.prompt),
  facts: toggleFacts,
  remove: () => act("remove")?.checkVisibility() && act("remove").click(),
};
const KEYS = {
  ...{ ArrowLeft: "previous", ArrowRight: "next", " ": "zoom", Delete: "remove", Backspace: "remove" },
  ...{ s: "star", d: "download", v: "again", c: "copy", i: "facts" },
};
const LINKS = new Set(["download", "again", "remove"]); // do it by themselves

dialog.addEventListener("click", (event) => {
  const name = event.target.closest("[data-act]")?.dataset.act;
  if (name && !LINKS.has(name)) ACTS[name]();
  else if (event.target === part("large")) toggleZoom();
  else if (event.target === part("stage")) dialog.close();
});
// Of the document: what held the focus may be gone, as the button of an undo is.
document.addEventListener("keydown", (event) => {
  const within = event.target.closest?.("dialog") ?? dialog;
  if (!dialog.open || within !== dialog || event.defaultPrevented) return; // Space has opened it just now
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return; // somebody writes: among the facts there are fields
  const name = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!name || (event.key === " " && event.target.closest("button:not([data-act=zoom])"))) return;
  event.preventDefault();
  ACTS[name]();
});
dialog.addEventListener("close", () => {
  part("large").removeAttribute("src");
  links[at]?.focus({ preventScroll: true });
});
document.addEventListener("library:changed", ({ detail }) => {
  if (!dialog.open) return;
  const within = detail.ids.includes(links[at].dataset.picture);
  if (LEAVE.has(detail.verb) && within) goPast(detail.ids);
  else if (detail.verb === "write" && within) say();
  else part("count").textContent = counted();
});
swipes(part("stage"));

/** Show the picture of `link` large; the others in its gallery are its siblings. */
export function open(link) {
  const inTiles = document.querySelector(`[data-gallery] a[data-picture="${link.dataset.picture}"]`);
  const chosen = link.closest("[data-gallery], .siblings") ? link : inTiles ?? link;
  gallery = chosen.closest("[data-gallery], .siblings");
  links = [];
  gather(chosen);
  if (!dialog.open) dialog.showModal();
  show(at);
}

const all = (link) => [...(gallery?.querySelectorAll("a[data-picture]") ?? [link])];

/* Those beside `link`, as the gallery holds them now: it grows at its end, and what is far away in it rests. */
function gather(link) {
  const found = all(link);
  const place = found.findIndex(({ dataset }) => dataset.picture === link.dataset.picture);
  if (place < 0) return;
  const near = found.slice(Math.max(0, place - BESIDE), place + BESIDE + 1);
  at = near.indexOf(found[place]);
  if (near.length === links.length && near.every((each, index) => each === links[index])) return;
  links = near;
  dialog.toggleAttribute("data-lone", links.length < 2);
  part("filmstrip").replaceChildren(...links.map(frame));
}

function thumbnail(link) {
  return link.querySelector("img") ?? link.parentElement.querySelector("img[srcset]");
}

function frame(link, index) {
  const button = document.createElement("button");
  button.type = "button";
  button.ariaLabel = link.ariaLabel;
  const image = document.createElement("img");
  image.src = thumbnail(link).currentSrc || thumbnail(link).src;
  image.width = (72 * link.dataset.width) / link.dataset.height;
  image.height = 72;
  image.alt = "";
  image.loading = "lazy";
  button.append(image);
  button.addEventListener("click", () => (links[index].isConnected ? show(index) : gather(links[at])));
  return button;
}

function go(step) {
  if (dialog.hasAttribute("data-zoom")) return;
  if (Math.min(at, links.length - 1 - at) < EDGE || !links[at + step]?.isConnected) gather(links[at]);
  if (links[at + step]) return show(at + step);
  // From the last to the first, but not where there is more than what is here.
  if (gallery?.querySelector(".grid__more, [data-resting]")) return;
  gather(all(links[at]).at(step > 0 ? 0 : -1));
  show(at);
}

/* What is shown is not in the grid any more: on to what came behind it, or before, or back to the page. */
function goPast(ids) {
  const left = (link) => !ids.includes(link.dataset.picture);
  const next = links.slice(at).find(left) ?? links.slice(0, at).findLast(left);
  if (!next) return dialog.close();
  gather(next);
  return show(at);
}

/* How far one has come: a grid counts its tiles, those too that rest; behind its last others may wait. */
function counted() {
  const tiles = [...(gallery?.querySelectorAll(".thumb[data-id]") ?? [])];
  const place = tiles.indexOf(links[at].closest(".thumb"));
  const [number, total] = place < 0 ? [at, links.length] : [place, tiles.length];
  return total > 1 ? `${number + 1} / ${total}${gallery.querySelector(".grid__more") ? "+" : ""}` : "";
}

function show(index) {
  at = index;
  const { dataset } = links[at];
  zoom(false);
  const large = part("large");
  const quick = thumbnail(links[at]);
  large.width = dataset.width;
  large.height = dataset.height;
  large.src = quick.currentSrc || quick.src;
  const full = new Image();
  full.onload = () => links[at]?.dataset === dataset && (large.src = full.src);
  full.src = dataset.large;
  part("count").textContent = counted();
  say();
  act("copy").hidden = !dataset.prompt;
  act("download").href = dataset.download;
  const again = act("again"); // who may not create has none
  if (again) again.href = dataset.again;
  const remove = act("remove");
  if (remove) {
    // Elsewhere nothing would take it out.
    remove.hidden = gallery?.id !== "grid" || gallery.hasAttribute("data-trashed");
    remove.setAttribute("hx-vals", JSON.stringify({ ids: dataset.picture }));
  }
  const star = act("star");
  if (star) star.ariaPressed = document.getElementById(`star-${dataset.picture}`)?.ariaPressed ?? "false";
  for (const [position, thumb] of [...part("filmstrip").children].entries()) {
    thumb.ariaCurrent = position === at ? "true" : null;
  }
  part("filmstrip").children[at].scrollIntoView({ block: "nearest", inline: "center" });
  // The page below comes along: so it brings what is next, and shows this one once the dialog is closed.
  (links[at].closest(".thumb") ?? links[at]).scrollIntoView({ block: "nearest" });
  if (!facts().hidden) loadFacts();
}

/* What it is called, which may be written anew among its facts. */
function say() {
  const { dataset, ariaLabel } = links[at];
  const name = thumbnail(links[at]).alt || dataset.prompt || dataset.name;
  part("large").alt = name;
  part("prompt").textContent = [...new Set([dataset.prompt || name, dataset.caption])].filter(Boolean).join(" · ");
  part("filmstrip").children[at].ariaLabel = ariaLabel;
}

function zoom(on) {
  dialog.toggleAttribute("data-zoom", on);
  act("zoom").ariaPressed = String(on);
}

function toggleZoom() {
  zoom(!dialog.hasAttribute("data-zoom"));
  const stage = part("stage");
  stage.scrollTo((stage.scrollWidth - stage.clientWidth) / 2, (stage.scrollHeight - stage.clientHeight) / 2);
}

async function star() {
  const button = act("star");
  if (!button) return; // not for this person
  const { dataset } = links[at];
  button.ariaPressed = String(button.ariaPressed !== "true");
  await htmx.ajax("POST", dataset.star, { source: button, swap: "none" }).catch(() => {});
  // What was not taken down is not shown either: the star of the tile is as the answer has left it.
  const kept = document.getElementById(`star-${dataset.picture}`);
  if (kept && links[at]?.dataset === dataset) button.ariaPressed = kept.ariaPressed;
}

function facts() {
  return document.getElementById("lightbox-facts");
}

function toggleFacts() {
  facts().hidden = !facts().hidden;
  act("facts").ariaExpanded = String(!facts().hidden);
  if (!facts().hidden) loadFacts();
}

function loadFacts() {
  htmx.ajax("GET", links[at].href, { source: act("facts"), target: facts(), swap: "innerHTML" });
}

function swipes(stage) {
  let start = 0;
  stage.addEventListener("touchstart", (event) => (start = event.touches[0].clientX), { passive: true });
  stage.addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - start;
    if (Math.abs(moved) > 50) go(moved > 0 ? -1 : 1);
  });
}
