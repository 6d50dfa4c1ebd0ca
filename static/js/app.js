/* What every page behind the sign-in runs. Nothing is bound to one element: htmx may replace any of them. */
import { connect } from "./stream.js";
import { enhance } from "./composer.js";
import * as refresh from "./refresh.js";
import * as since from "./since.js";
import * as toast from "./toast.js"; // not fetched when needed: it has to say that nothing can be fetched
import * as words from "./words.js";

const LIGHTBOX = "a[data-picture]";

connect();
enhance();
refresh.run();
since.run();
words.keep();

// A row of tabs may be wider than the window.
for (const tab of document.querySelectorAll(".filters [aria-current]")) tab.scrollIntoView({ block: "nearest", inline: "nearest" });

document.addEventListener("click", async (event) => {
  const at = (selector) => event.target.closest?.(selector);
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);

  const link = at(LIGHTBOX);
  if (link && plain) {
    event.preventDefault();
    return openPicture(link);
  }
  const pick = at("[data-pick-image]");
  if (pick) return (await import("./picker.js")).open(pick);
  const theme = at("[data-theme-choice]");
  if (theme) return (await import("./theme.js")).choose(theme.dataset.themeChoice);
  const source = at("[data-copy]");
  if (source) return toast.copy(source.dataset.copy);
  const dismissed = at("[data-dismiss]");
  // Hidden, not removed: htmx shows the answer to an undo only while its button is in the page.
  if (dismissed) return (dismissed.closest("[data-toast]").hidden = true);
  const command = at("button[commandfor]");
  if (command && !("commandForElement" in command)) (await import("./dialog.js")).run(command);
});

/* In a wide library a picture opens in the drawer first; from there, and everywhere else, it opens large. */
async function openPicture(link) {
  const drawer = document.querySelector(link.closest("[data-drawer]")?.dataset.drawer ?? "no-drawer");
  if (drawer && matchMedia("(width >= 1280px)").matches && link.ariaCurrent !== "true") {
    for (const other of document.querySelectorAll(`${LIGHTBOX}[aria-current]`)) other.ariaCurrent = null;
    link.ariaCurrent = "true";
    return htmx.ajax("GET", link.href, { source: link, target: drawer, swap: "innerHTML" });
  }
  const lightbox = await import("./lightbox.js");
  return lightbox.open(link);
}

document.addEventListener("keydown", async (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return document.getElementById("palette")?.showModal();
  }
  const link = event.target.closest?.(LIGHTBOX);
  if (event.key === " " && link) {
    event.preventDefault();
    (await import("./lightbox.js")).open(link);
  }
});

const palette = document.getElementById("palette");
palette?.addEventListener("focusin", async () => (await import("./palette.js")).begin(palette), { once: true });

/*
 * Toasts go by themselves; whoever reads or points at one keeps it. Their place is a popover, shown anew for each, so
 * that it lies above an open dialog too. What a picture that is open large leaves to undo has to be within it: all else
 * cannot be pressed meanwhile.
 */
const toasts = document.getElementById("toasts");
if (toasts) {
  const home = toasts.parentElement;
  const large = document.getElementById("lightbox");
  toasts.showPopover();
  large?.addEventListener("close", () => {
    if (!large.contains(toasts)) return;
    home.append(toasts);
    toasts.showPopover();
  });
  new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.dataset?.toast !== undefined);
    if (!added.length) return;
    toasts.hidePopover();
    if (large?.open) large.append(toasts);
    toasts.showPopover();
    toast.age(added);
  }).observe(toasts, { childList: true });
}

/* No answer at all (the server is gone, or the line): say so, keep what was typed. */
document.addEventListener("htmx:error", (event) => {
  const { ctx } = event.detail;
  if (!ctx?.request || ctx.response || ctx.sourceElement?.matches?.("[data-poll]")) return;
  toast.show("toast-failed");
});

const offline = document.querySelector("[data-offline]");
const tellOffline = () => offline && (offline.hidden = navigator.onLine);
addEventListener("online", tellOffline);
addEventListener("offline", tellOffline);
tellOffline();
