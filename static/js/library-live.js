/*
 * New pictures on top of an open grid that shows everything, newest first. The stream says that there are some
 * (#library-news), an upload knows it by itself; what is scrolled to and selected stays.
 */
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
  if (list.hidden || (fresh.length && !known.length)) return redraw();
  for (const tile of fresh.filter((each) => !known.includes(each)).reverse()) put(list, tile, piece);
  for (const tile of known) recount(tile);
}

/* Under the heading of its day, which is made if it is a new one. */
function put(list, tile, piece) {
  let heading = tile.previousElementSibling;
  while (heading && !heading.matches(".grid__date")) heading = heading.previousElementSibling;
  const day = heading?.dataset.day ?? "";
  let own = list.querySelector(`.grid__date[data-day="${day}"]`);
  if (!own) {
    own = heading.cloneNode(true);
    const rest = document.createElement("li");
    rest.className = "grid__rest";
    list.prepend(own, rest);
  }
  own.after(tile);
  htmx.process(tile);
  tile.dispatchEvent(new CustomEvent("library:added", { bubbles: true }));
}

/* A stack that has grown says so. */
function recount(tile) {
  const count = tile.querySelector(".tile__count");
  const shown = document.getElementById(tile.id);
  const before = shown.querySelector(".tile__count");
  if (!count || before?.textContent === count.textContent) return;
  if (before) before.replaceWith(count);
  else shown.append(count);
  htmx.process(count);
}
