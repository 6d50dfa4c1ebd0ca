/*
 * Which pictures are selected. The ticks are boxes of the form #bulk, so the browser sends them by itself; beyond that,
 * what is selected stays so when the grid shows something else, and "all that match" reaches what no page has loaded.
 */
import { lookAgain, revive } from "./library-far.js";
import { rove } from "./library-keys.js";

const LONG_PRESS_MS = 450;
const LARGEST_GROUP = 120;
/* Where somebody is in the grid: by the focus, by what the drawer shows, by the stop of the Tab key. */
const HERE = [".thumb:focus-within", ".thumb:has([aria-current])", ".thumb:has(.tile__open[tabindex='0'])"];

const chosen = new Set();
const excepted = new Set();
const stars = new Map(); // id → what its star was set to
const gone = new Map(); // id → the tile that was taken out, and the mark where it stood
let all = false;
let wish = ""; // which "all" it is: that of the address at the time
let anchor = null;
let pressed = 0;
let held = false;
let touched = false;

const form = () => document.getElementById("bulk");
const grid = () => document.getElementById("grid");
const tileOf = (id) => document.getElementById(`tile-${id}`);
export const tiles = () => [...(grid()?.querySelectorAll(".thumb[data-id]") ?? [])];
export const has = (id) => (all ? !excepted.has(id) : chosen.has(id));
export const any = () => all || chosen.size > 0;

/** Bind everything; without the right to change anything there is nothing to select for. */
export function begin() {
  if (!form()) return;
  document.addEventListener("click", clicked, true);
  document.addEventListener("formdata", fill);
  document.addEventListener("library:changed", ({ detail }) => changed(detail));
  document.addEventListener("htmx:after:swap", drawn);
  for (const name of ["push", "replace"]) document.addEventListener(`htmx:after:history:${name}`, turned);
  document.addEventListener("library:revived", ({ target }) => revived(target));
  document.addEventListener("keydown", sendByEnter);
  document.addEventListener("pointerdown", press);
  for (const name of ["pointerup", "pointercancel", "scroll"]) document.addEventListener(name, () => clearTimeout(pressed), true);
  document.addEventListener("contextmenu", (event) => held && event.preventDefault());
  for (const box of document.querySelectorAll("#grid [name=ids]:checked")) chosen.add(box.value);
  show();
}

function clicked(event) {
  const at = (selector) => event.target.closest?.(selector);
  if (at("[data-clear]")) return clear();
  if (at("[data-all-that-match]")) return chooseAll();
  const tile = at("#grid .thumb");
  if (!tile) return undefined;
  const box = at("[name=ids]");
  if (box) return event.shiftKey && anchor ? range(tile.dataset.id, box.checked) : toggle(tile.dataset.id, box.checked);
  if (!at(".tile__open")) return undefined;
  const byTouch = any() && touched;
  if (!event.shiftKey && !byTouch && !held) return undefined;
  event.preventDefault();
  event.stopPropagation();
  if (held) held = false;
  else if (event.shiftKey) range(tile.dataset.id, true);
  else toggle(tile.dataset.id, !has(tile.dataset.id));
  return undefined;
}

function press(event) {
  held = false;
  touched = event.pointerType === "touch"; // not every browser's click says so
  const tile = event.target.closest?.("#grid .thumb");
  if (!touched || !tile) return;
  clearTimeout(pressed);
  pressed = setTimeout(() => {
    held = true;
    toggle(tile.dataset.id, true);
    navigator.vibrate?.(12);
  }, LONG_PRESS_MS);
}

/** Select one picture, or not any more. */
export function toggle(id, on) {
  if (!form()) return;
  if (all) (on ? excepted.delete(id) : excepted.add(id));
  else (on ? chosen.add(id) : chosen.delete(id));
  anchor = id;
  show();
}

/** Select all from the last one that was touched to this. */
export function range(id, on = true) {
  if (!form()) return;
  const ids = tiles().map((tile) => tile.dataset.id);
  const from = ids.indexOf(anchor);
  const to = ids.indexOf(id);
  const between = from < 0 ? [id] : ids.slice(Math.min(from, to), Math.max(from, to) + 1);
  const within = all ? excepted : chosen;
  for (const each of between) (all ? !on : on) ? within.add(each) : within.delete(each);
  if (from < 0) anchor = id;
  show();
}

/** Begin ranges at this picture. */
export function begins(id) {
  anchor = id;
}

/** Select nothing. */
export function clear() {
  all = false;
  anchor = null;
  chosen.clear();
  excepted.clear();
  show();
}

/** Select whatever fits the search and filters, loaded or not. */
export async function chooseAll() {
  all = true;
  wish = location.search;
  excepted.clear();
  show();
  const asked = wish;
  const answer = await fetch(document.querySelector("[data-library]").dataset.count + asked).catch(() => null);
  const matching = answer?.ok && (await answer.text());
  if (!matching || !all || wish !== asked) return;
  form().dataset.matching = matching;
  show();
}

/** Press a button of the bar; on `id` alone if nothing is selected. */
export function act(verb, id) {
  const button = form()?.querySelector(`[data-verb="${verb}"]`);
  if (!button || !button.checkVisibility({ visibilityProperty: false }) && any()) return;
  if (!any() && id) toggle(id, true);
  if (any()) button.click();
}

/** The tile before or behind another, over the borders of groups; undefined at the ends. */
export function beside(tile, step) {
  const [sibling, edge] = step > 0 ? ["nextElementSibling", "firstElementChild"] : ["previousElementSibling", "lastElementChild"];
  if (tile[sibling]) return tile[sibling];
  for (let group = tile.closest(".grid__group")?.[sibling]; group; group = group[sibling]) {
    const found = group.querySelector(".grid__tiles")?.[edge];
    if (found) return found;
  }
  return undefined;
}

/*
 * What has come: a group that goes on is joined with its beginning while that is small, and tiles that are selected are
 * drawn so.
 */
function drawn() {
  turned();
  for (const group of document.querySelectorAll(".grid__group[data-continued]:not([data-settled])")) {
    const before = group.previousElementSibling?.querySelector(".grid__tiles");
    group.dataset.settled = "";
    if (!before || before.childElementCount >= LARGEST_GROUP) continue;
    before.append(...group.querySelector(".grid__tiles").children);
    group.remove();
  }
  for (const [id, { place }] of gone) if (!place.isConnected) gone.delete(id);
  const before = form().dataset.place;
  form().dataset.place = room();
  if (room() !== before) clear(); // what lies in the other has other verbs, and is not to be seen
  else if (any()) mark();
}

const room = () => (grid()?.hasAttribute("data-trashed") ? "trash" : "library");

/* All that matched one search are not all that match the next. */
function turned() {
  if (all && location.search !== wish) clear();
}

/* What was out of sight has missed what happened meanwhile. */
function revived(tile) {
  const box = tile.querySelector("[name=ids]");
  if (box) box.checked = has(tile.dataset.id);
  const star = stars.get(tile.dataset.id);
  if (star) document.getElementById(`star-${tile.dataset.id}`)?.setAttribute("aria-pressed", star);
}

/* Tiles that come are drawn as they are selected; whole pages of them, so once for all. */
function mark() {
  for (const tile of tiles()) {
    const box = tile.querySelector("[name=ids]");
    const on = has(tile.dataset.id);
    if (box && box.checked !== on) box.checked = on;
  }
}

function show() {
  mark();
  const bar = form();
  bar.toggleAttribute("data-open", any());
  document.body.toggleAttribute("data-selecting", any());
  document.querySelector("[data-library]").toggleAttribute("data-selecting", any());
  bar.toggleAttribute("data-everything", all);
  if (!any()) leave();
  bar.querySelector("[data-count]").textContent = any() ? counted(bar.dataset) : "";
  if (!all) delete bar.dataset.matching;
}

/* How many are selected, in words; from "more than 10,000" nothing can be taken away. */
function counted({ one, all: every, matching = "" }) {
  const words = (number) => one.replace("#", number.toLocaleString(document.documentElement.lang));
  if (!all) return words(chosen.size);
  if (excepted.size && /^[\d\s.,]+$/.test(matching)) return words(matching.replace(/\D/g, "") - excepted.size);
  return every.replace("#", matching).replace("  ", " ") + (excepted.size ? ` (−${excepted.size})` : "");
}

/* Something that may have held the focus is not to be seen any more. */
function leave() {
  document.dispatchEvent(new Event("library:left"));
}

/* What the form sends: all that is selected, in one field, however many there are. */
function fill({ target, formData }) {
  if (target !== form()) return;
  formData.delete("ids");
  formData.set("back", location.pathname + location.search);
  if (!all) return formData.set("ids", [...chosen].join(","));
  formData.set("all", "1");
  formData.set("except", [...excepted].join(","));
  for (const [name, value] of new URLSearchParams(wish)) formData.set(name, value);
}

function sendByEnter(event) {
  const button = event.key === "Enter" && event.target.closest?.(".bulk__menu input") && event.target.closest(".bulk__menu").querySelector("[data-enter]");
  if (!button) return;
  event.preventDefault();
  button.click();
}

const LEAVES = { trash: "library", restore: "trash", delete: "trash", uncollect: "collection" };
const RETURNS = { restore: "library", trash: "trash", collect: "collection" };
const STARS = { star: "true", unstar: "false" };

function changed({ verb, ids, to, missed = [] }) {
  const here = (wanted) => wanted === room() || (wanted === "collection" && grid()?.dataset.collection === to);
  if (STARS[verb]) {
    for (const id of ids) {
      stars.set(id, STARS[verb]);
      document.getElementById(`star-${id}`)?.setAttribute("aria-pressed", STARS[verb]);
    }
  }
  // Those that somebody else has taken out before are not here either.
  if (here(LEAVES[verb])) takeOut([...ids, ...missed]);
  else if (here(RETURNS[verb])) putBack(ids);
  if (verb in LEAVES || verb === "collect") clear();
  for (const input of document.querySelectorAll(".bulk__menu input")) input.value = "";
}

/* Taken out, not thrown away: an undo puts each back where it stood. What is next to them is where the keys go on. */
function takeOut(ids) {
  const at = HERE.map((where) => grid().querySelector(where)).find(Boolean);
  const out = new Set(ids);
  const next = at && out.has(at.dataset.id) ? (past(at, 1, out) ?? past(at, -1, out)) : null;
  for (const id of ids) {
    const tile = tileOf(id);
    if (!tile) continue;
    const place = document.createComment("");
    tile.replaceWith(place);
    gone.set(id, { tile, place });
  }
  if (next) rove(opener(next));
}

/* What takes the focus of a tile, which may be so far away that it holds nothing. */
function opener(tile) {
  revive(tile?.closest(".grid__group"));
  return tile?.querySelector(".tile__open");
}

function past(tile, step, out) {
  let found = tile;
  while (found && out.has(found.dataset.id)) found = beside(found, step);
  return found;
}

function putBack(ids) {
  let lost = false;
  const empty = new Set();
  for (const id of ids) {
    const { tile, place } = gone.get(id) ?? {};
    if (place?.isConnected) place.replaceWith(tile);
    else lost = true;
    if (tile?.isConnected && !tile.firstChild) empty.add(tile.closest(".grid__group"));
    gone.delete(id);
  }
  empty.forEach(lookAgain);
  const back = new Set(ids);
  const first = opener(tiles().find((tile) => back.has(tile.dataset.id)));
  if (first) rove(first);
  if (grid()?.contains(document.activeElement)) first?.focus({ preventScroll: true });
  if (lost) document.dispatchEvent(new Event("library:stale"));
}
