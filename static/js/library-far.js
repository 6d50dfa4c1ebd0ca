/*
 * Pictures far out of sight keep their place in the grid and nothing else, so that whoever scrolls through thousands does
 * not carry all of them along. They come back before they are seen: "library:revived" says so of their group.
 */
const NEAR = "3000px 0px";

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
  if (!group || group.dataset.resting === undefined) return;
  delete group.dataset.resting;
  for (const tile of group.querySelectorAll(".thumb:empty")) tile.innerHTML = inside.get(tile) ?? "";
  htmx.process(group);
  group.dispatchEvent(new CustomEvent("library:revived", { bubbles: true }));
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

/* One group a frame, what will be seen before what is left behind: all that a fast hand passes at once would take long. */
function turn() {
  const [group, near] = [...turning].find(([, isNear]) => isNear) ?? turning.entries().next().value;
  turning.delete(group);
  (near ? revive : rest)(group);
  frame = turning.size ? requestAnimationFrame(turn) : 0;
}

function rest(group) {
  if (!group.isConnected || group.querySelector(":focus, [aria-current]")) return;
  group.dataset.resting = "";
  for (const tile of group.querySelectorAll(".thumb:not(:empty)")) {
    inside.set(tile, tile.innerHTML);
    tile.replaceChildren();
  }
}
