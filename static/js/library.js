/* The library's page: selecting, moving by keys, what is new, uploads. Its pieces are bound to the document, for htmx replaces the grid. */
import * as far from "./library-far.js";
import * as keys from "./library-keys.js";
import * as live from "./library-live.js";
import * as selection from "./library-selection.js";
import * as upload from "./upload.js";

const drawer = document.getElementById("drawer");
const search = document.getElementById("q");
let taken = false; // a filter, by the chip that stood for it

selection.begin();
keys.begin();
far.begin();
live.begin();
if (document.querySelector("[data-tray]")) upload.receive({ onStored: live.refresh });

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-close-drawer]")) closeDrawer();
  if (event.target.closest?.(".filters--active a")) taken = true;
  const stack = event.target.closest?.("[data-stack][aria-expanded=true]");
  if (stack) collapse(event, stack);
  const keep = event.target.closest?.("#delete-dialog [data-close]");
  if (keep) {
    event.preventDefault();
    keep.closest("dialog").close();
  }
}, true);

/* The order is chosen in the panel of the filters; where there is room, one choice of it stands outside too. */
const mirrored = (quick) => document.getElementById(quick.dataset.mirrors);

document.addEventListener("change", ({ target }) => {
  if (!target.matches?.("[data-mirrors]")) return;
  mirrored(target).value = target.value;
  mirrored(target).dispatchEvent(new Event("change", { bubbles: true }));
});

/* A stack that is open closes again; htmx must not fetch it a second time. */
function collapse(event, stack) {
  event.preventDefault();
  event.stopPropagation();
  for (const variant of document.querySelectorAll(`[data-of="${stack.dataset.stack}"]`)) variant.remove();
  stack.ariaExpanded = "false";
}

function closeDrawer() {
  const shown = document.querySelector("#grid a[aria-current]");
  drawer.replaceChildren();
  if (shown) shown.ariaCurrent = null;
  shown?.focus({ preventScroll: true });
}

/* Another search: what the drawer shows may be none of it. */
function stayInDrawer() {
  const shown = drawer.querySelector("[data-facts]")?.dataset.facts;
  const link = shown && document.querySelector(`#grid a[data-picture="${shown}"]`);
  if (link) link.ariaCurrent = "true";
  else drawer.replaceChildren();
}

/* What it shows is gone from the grid. */
function leaveDrawer() {
  closeDrawer();
  document.dispatchEvent(new Event("library:left"));
}

/* A menu says that it opens, so that what it offers is asked for: "toggle" says so of its closing too. */
document.addEventListener("beforetoggle", ({ target, newState }) => {
  if (newState === "open") target.dispatchEvent(new Event("opened"));
}, true);

document.addEventListener("library:escape", () => drawer.firstElementChild && closeDrawer());

document.addEventListener("library:changed", ({ detail }) => {
  const shown = drawer.querySelector("[data-facts]")?.dataset.facts;
  if (!shown || detail.verb === "write" || !detail.ids.includes(shown)) return;
  if (["trash", "restore", "delete"].includes(detail.verb)) leaveDrawer();
  else htmx.ajax("GET", document.querySelector(`a[data-picture="${shown}"]`)?.href, { target: drawer, swap: "innerHTML" });
});

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.target?.id === "delete-dialog") ctx.target.showModal();
  if (ctx.sourceElement?.matches?.("[data-stack]")) ctx.sourceElement.ariaExpanded = "true";
  if (ctx.target?.id !== "found") return;
  // What the fields of the filters show is what the server has drawn, not what hands have left in them.
  search.defaultValue = search.value;
  document.getElementById("wish").reset();
  for (const quick of document.querySelectorAll("[data-mirrors]")) quick.value = mirrored(quick).value;
  if (taken) document.querySelector("[popovertarget=wish]").focus();
  taken = false;
  stayInDrawer();
  if (scrollY > 0) scrollTo({ top: 0 });
});

document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  if (!ctx.response?.raw.ok) return;
  ctx.sourceElement?.closest?.("dialog:has([data-closes])")?.close();
  if (ctx.sourceElement?.matches?.("[data-later]")) return; // what a menu shows has come; nothing was done with it
  const popover = ctx.sourceElement?.closest?.("#keep, .bulk__menu, .save");
  if (popover?.matches(":popover-open")) popover.hidePopover();
});
