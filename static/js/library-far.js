/*
 * Pictures far out of sight keep their place in the grid and nothing else, so that whoever scrolls through thousands does
 * not carry all of them along. They come back before they are seen: "library:revived" says so of each.
 */
const NEAR = "3000px 0px";
const A_FRAME = 24;

const inside = new WeakMap(); // tile → what it holds, as HTML
const turning = new Map(); // group → whether it has come near; the last word counts
let watcher = null;
let frame = 0;

/** Watch the groups of the grid, those that come later too. */
export function begin() {
  watcher = new IntersectionObserver(moved, { rootMargin: NEAR });
  document.addEventListener("htmx:after:swap", watch);
  watch();
}

/** Bring the pictures of a group back now. */
export function revive(group) {
  if (group) refill(group, Infinity);
}

/** Look again whether a group is near, for it has got pictures that hold nothing. */
export function lookAgain(group) {
  group.dataset.resting = "";
  watcher.unobserve(group);
  watcher.observe(group);
}

function watch() {
  for (const group of document.querySelectorAll(".grid__group:not([data-watched])")) {
    group.dataset.watched = "";
    watcher.observe(group);
  }
}

function moved(entries) {
  for (const { target, isIntersecting } of entries) turning.set(target, isIntersecting);
  frame ||= requestAnimationFrame(turn);
}

/* So many a frame, those that will be seen before those that are left behind: what a fast hand passes at once would take long. */
function turn() {
  const [group, near] = [...turning].find(([, isNear]) => isNear) ?? turning.entries().next().value;
  if ((near ? refill : rest)(group, A_FRAME)) turning.delete(group);
  frame = turning.size ? requestAnimationFrame(turn) : 0;
}

/* Returns whether none is left. */
function refill(group, most) {
  if (group.dataset.resting === undefined) return true;
  const tiles = [...group.querySelectorAll(".thumb:empty")];
  if (group.getBoundingClientRect().top < 0) tiles.reverse(); // somebody comes from below
  for (const tile of tiles.slice(0, most)) {
    tile.innerHTML = inside.get(tile) ?? "";
    htmx.process(tile);
    tile.dispatchEvent(new CustomEvent("library:revived", { bubbles: true }));
  }
  if (tiles.length > most) return false;
  delete group.dataset.resting;
  return true;
}

function rest(group, most) {
  if (!group.isConnected || group.querySelector(":focus, [aria-current]")) return true;
  group.dataset.resting = "";
  const tiles = [...group.querySelectorAll(".thumb:not(:empty)")];
  for (const tile of tiles.slice(0, most)) {
    inside.set(tile, tile.innerHTML);
    tile.replaceChildren();
  }
  return tiles.length <= most;
}
