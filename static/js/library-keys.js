/* The grid by keys: arrows move by rows and columns as drawn, the picture in focus is the one stop of the Tab key. */
import { revive } from "./library-far.js";
import * as selection from "./library-selection.js";
import { beside } from "./library-selection.js";

const OPEN_AFTER_MS = 160;
const PAGE_ROWS = 3;

let opening = 0;
let current = null;

const grid = () => document.getElementById("grid");
const linkOf = (tile) => tile?.querySelector(".tile__open");
const box = (tile) => tile.getBoundingClientRect();

const MOVES = {
  ArrowLeft: (tile) => beside(tile, -1),
  ArrowRight: (tile) => beside(tile, 1),
  ArrowUp: (tile) => row(tile, -1, 1),
  ArrowDown: (tile) => row(tile, 1, 1),
  PageUp: (tile) => row(tile, -1, PAGE_ROWS),
  PageDown: (tile) => row(tile, 1, PAGE_ROWS),
  Home: () => selection.tiles()[0],
  End: () => selection.tiles().at(-1),
};

const ACTS = {
  x: (tile) => selection.toggle(tile.dataset.id, !selection.has(tile.dataset.id)),
  " ": (tile) => selection.toggle(tile.dataset.id, !selection.has(tile.dataset.id)),
  s: (tile) => (selection.any() ? selection.act("star") : document.getElementById(`star-${tile.dataset.id}`)?.click()),
  t: (tile) => selection.act("tag", tile.dataset.id),
  delete: (tile) => remove(tile),
  backspace: (tile) => remove(tile),
};

/** Bind everything. */
export function begin() {
  document.addEventListener("keydown", pressed, true);
  document.addEventListener("focusin", ({ target }) => target.matches?.("#grid .tile__open") && rove(target));
  document.addEventListener("htmx:after:swap", () => settle());
  document.addEventListener("library:revived", ({ target }) => settle(target));
  document.addEventListener("library:left", regain);
  settle();
}

function pressed(event) {
  const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog, [popover]");
  const tile = event.target.closest?.("#grid .thumb");
  if (event.key === "Escape" && !typing) return escape(event);
  if (typing) return event.key === "ArrowDown" && event.target.id === "q" ? focusFirst(event) : undefined;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") return chooseAll(event);
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") return takeBack(event);
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (event.key === "/") return focusSearch(event);
  if (event.key === "?") return document.getElementById("library-keys").showModal();
  if (!tile) return undefined;
  if (MOVES[event.key]) return move(event, tile);
  const act = ACTS[event.key.toLowerCase()];
  if (!act || event.target.matches("button, [data-stack]")) return undefined;
  event.preventDefault();
  event.stopPropagation(); // Space would open the picture
  return act(tile);
}

function move(event, tile) {
  event.preventDefault();
  event.stopPropagation();
  const to = MOVES[event.key](tile);
  if (!to) return;
  if (event.shiftKey) {
    if (!selection.has(tile.dataset.id)) selection.toggle(tile.dataset.id, true);
    selection.range(to.dataset.id);
  } else {
    selection.begins(to.dataset.id);
  }
  revive(to.closest(".grid__group"));
  linkOf(to).focus({ preventScroll: true });
  to.scrollIntoView({ block: "nearest" });
  follow(linkOf(to));
}

/* While the drawer is open it shows the picture in focus. */
function follow(link) {
  clearTimeout(opening);
  if (!document.querySelector("#drawer > *") || link.ariaCurrent === "true") return;
  opening = setTimeout(() => link === document.activeElement && link.click(), OPEN_AFTER_MS);
}

/* The tile of the next row, as it is drawn, whose middle is nearest. */
function row(tile, step, rows) {
  const middle = middleOf(tile);
  let found = tile;
  for (let count = 0; count < rows; count += 1) {
    let next = beside(found, step);
    const here = box(found).top;
    while (next && Math.abs(box(next).top - here) < 1) next = beside(next, step);
    if (!next) break;
    found = next;
    for (const top = box(next).top; next && Math.abs(box(next).top - top) < 1; next = beside(next, step)) {
      if (Math.abs(middleOf(next) - middle) < Math.abs(middleOf(found) - middle)) found = next;
    }
  }
  return found === tile ? null : found;
}

const middleOf = (tile) => box(tile).left + tile.offsetWidth / 2;

function remove(tile) {
  selection.act(grid().hasAttribute("data-trashed") ? "delete" : "trash", tile.dataset.id);
}

function escape(event) {
  if (document.querySelector(":popover-open:not(#toasts), dialog[open]")) return;
  event.preventDefault();
  if (selection.any()) selection.clear();
  else document.dispatchEvent(new Event("library:escape"));
}

function chooseAll(event) {
  if (!document.getElementById("bulk") || !selection.tiles().length) return;
  event.preventDefault();
  selection.chooseAll();
}

/* What the newest message offers to take back. */
function takeBack(event) {
  const undo = [...document.querySelectorAll("[data-toast]:not([hidden]) button[hx-post]")].at(-1);
  if (!undo) return;
  event.preventDefault();
  undo.click();
}

function focusSearch(event) {
  event.preventDefault();
  document.getElementById("q").select();
}

function focusFirst(event) {
  const first = linkOf(selection.tiles()[0]);
  if (!first) return;
  event.preventDefault();
  first.focus();
}

/* One stop of the Tab key for the whole grid; the ticks and stars in it have keys of their own. */
function settle(within = document) {
  for (const part of within.querySelectorAll("#grid .thumb :is(a, button, input):not([tabindex])")) part.tabIndex = -1;
  if (!current?.isConnected) rove(document.querySelector("#grid .tile__open"));
}

/** Let `link` be the one stop of the Tab key. */
export function rove(link) {
  if (current) current.tabIndex = -1;
  current = link ?? null;
  if (current) current.tabIndex = 0;
}

/* Whoever was in something that is gone goes on in the grid. */
function regain() {
  if (document.activeElement?.matches(":not(body)") && document.activeElement.checkVisibility()) return;
  if (!current?.isConnected) rove(document.querySelector("#grid .tile__open"));
  current?.focus({ preventScroll: true });
}
