/* One picture over the window, its siblings below. Arrows, Space (zoom), S, D, V, C, I, Escape. */

import { copy } from "./toast.js";

const dialog = document.getElementById("lightbox");
const part = (name) => dialog.querySelector(`[data-${name}]`);
const act = (name) => dialog.querySelector(`[data-act="${name}"]`);

/* A grid may hold thousands; so many on either side of the one that is opened come along. */
const BESIDE = 60;

let links = [];
let at = 0;

const ACTS = {
  close: () => dialog.close(),
  previous: () => go(-1),
  next: () => go(1),
  zoom: toggleZoom,
  star: star,
  download: () => act("download").click(),
  again: () => act("again").click(),
  copy: () => links[at].dataset.prompt && copy(links[at].dataset.prompt),
  facts: toggleFacts,
};
const KEYS = { ArrowLeft: "previous", ArrowRight: "next", " ": "zoom", s: "star", d: "download", v: "again", c: "copy", i: "facts" };
const LINKS = new Set(["download", "again"]);

dialog.addEventListener("click", (event) => {
  const name = event.target.closest("[data-act]")?.dataset.act;
  if (name && !LINKS.has(name)) ACTS[name]();
  else if (event.target === part("large")) toggleZoom();
  else if (event.target === part("stage")) dialog.close();
});
dialog.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const name = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!name || (event.key === " " && event.target.closest("button:not([data-act=zoom])"))) return;
  event.preventDefault();
  ACTS[name]();
});
dialog.addEventListener("close", () => {
  part("large").removeAttribute("src");
  links[at]?.focus({ preventScroll: true });
});
swipes(part("stage"));

/** Show the picture of `link` large; the others in its gallery are its siblings. */
export function open(link) {
  const gallery = link.closest("[data-gallery], .siblings");
  const inTiles = document.querySelector(`[data-gallery] a[data-picture="${link.dataset.picture}"]`);
  const chosen = gallery ? link : inTiles ?? link;
  const all = [...(chosen.closest("[data-gallery], .siblings")?.querySelectorAll("a[data-picture]") ?? [chosen])];
  const place = all.indexOf(chosen);
  links = all.slice(Math.max(0, place - BESIDE), place + BESIDE + 1);
  dialog.toggleAttribute("data-lone", links.length < 2);
  part("filmstrip").replaceChildren(...links.map(frame));
  if (!dialog.open) dialog.showModal();
  show(links.indexOf(chosen));
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
  button.addEventListener("click", () => show(index));
  return button;
}

function go(step) {
  if (dialog.hasAttribute("data-zoom")) return;
  show((at + step + links.length) % links.length);
}

function show(index) {
  at = index;
  const { dataset } = links[at];
  zoom(false);
  const large = part("large");
  const quick = thumbnail(links[at]);
  large.width = dataset.width;
  large.height = dataset.height;
  large.alt = quick.alt || dataset.prompt || dataset.name;
  large.src = quick.currentSrc || quick.src;
  const full = new Image();
  full.onload = () => links[at]?.dataset === dataset && (large.src = full.src);
  full.src = dataset.large;
  part("count").textContent = links.length > 1 ? `${at + 1} / ${links.length}` : "";
  const words = new Set([dataset.prompt || large.alt, dataset.caption]);
  part("prompt").textContent = [...words].filter(Boolean).join(" · ");
  act("copy").hidden = !dataset.prompt;
  act("download").href = dataset.download;
  act("again").href = dataset.again;
  const star = act("star");
  if (star) star.ariaPressed = document.getElementById(`star-${dataset.picture}`)?.ariaPressed ?? "false";
  for (const [position, thumb] of [...part("filmstrip").children].entries()) {
    thumb.ariaCurrent = position === at ? "true" : null;
  }
  part("filmstrip").children[at].scrollIntoView({ block: "nearest", inline: "center" });
  if (!facts().hidden) loadFacts();
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

function star() {
  const button = act("star");
  if (!button) return; // not for this person
  button.ariaPressed = String(button.ariaPressed !== "true");
  htmx.ajax("POST", links[at].dataset.star, { source: button, swap: "none" });
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
