/*
 * New pictures on top of an open grid that shows the newest first: those that fit its search and filters. The stream
 * says that there are some (#library-news), an upload knows it by itself; what is scrolled to and selected stays.
 */
import { revive } from "./library-far.js";

const AFTER_MS = 250;

let waiting = 0;
let last = Promise.resolve();

const grid = () => document.getElementById("grid");

/** Listen for news. */
export function begin() {
  const news = document.getElementById("library-news");
  new MutationObserver(refresh).observe(news.parentElement, { subtree: true, attributes: true, attributeFilter: ["value"] });
  document.addEventListener("library:stale", redraw);
}

/** Fetch what is new soon; several news in a row are one. */
export function refresh() {
  clearTimeout(waiting);
  waiting = setTimeout(() => (last = last.then(fetchNewest).catch(() => {})), AFTER_MS);
}

function redraw() {
  const here = location.pathname + location.search;
  htmx.ajax("GET", here, { source: document.getElementById("found"), target: "#found", swap: "innerHTML" });
}

async function fetchNewest() {
  const list = grid();
  if (!list?.hasAttribute("data-live")) return;
  const address = document.querySelector("[data-library]").dataset.newest;
  const answer = await fetch(address + location.search, { headers: { "HX-Request-Type": "partial" } });
  if (!answer.ok || list !== grid()) return;
  const piece = document.createRange().createContextualFragment(await answer.text());
  const fresh = [...piece.querySelectorAll(".thumb")];
  const known = fresh.filter((tile) => document.getElementById(tile.id));
  if (fresh.length && (list.hidden || !known.length)) return redraw();
  for (const tile of fresh.filter((each) => !known.includes(each)).reverse()) put(list, tile);
  for (const tile of known) recount(tile);
}

/* Into the group of its day, which is made if it is a new one. */
function put(list, tile) {
  const group = tile.closest(".grid__group");
  let own = list.querySelector(`.grid__group[data-day="${group.dataset.day}"]`);
  if (!own) {
    own = group.cloneNode(true);
    own.querySelector(".grid__tiles").replaceChildren();
    list.prepend(own);
  }
  own.querySelector(".grid__tiles").prepend(tile);
  htmx.process(tile);
}

/* A stack that has grown says so. */
function recount(tile) {
  const count = tile.querySelector(".tile__count");
  const shown = document.getElementById(tile.id);
  revive(shown.closest(".grid__group")); // a tile that holds nothing would hold the count alone
  const before = shown.querySelector(".tile__count");
  if (!count || before?.textContent === count.textContent) return;
  if (before) before.replaceWith(count);
  else shown.append(count);
  htmx.process(count);
}
