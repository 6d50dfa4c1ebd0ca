/*
 * Collections, tags and searches in order. The whole list is drawn anew after each change: whoever was in it by the
 * keys goes on in the same row, or in the one that has come to its place.
 */
const STOPS = ":is(input:not([type=hidden]), a, button:not(.unscripted))";

const list = () => document.getElementById("all-shelves");
const sections = () => [...list().children];
const rowsOf = (section) => [...section.querySelectorAll(".shelf-row")];
const stopsOf = (row) => [...row.querySelectorAll(STOPS)];
const nameOf = (row) => row.querySelector("input:not([type=hidden])")?.id;

let left = null;

document.addEventListener("htmx:before:swap", () => {
  const row = list()?.contains(document.activeElement) ? document.activeElement.closest(".shelf-row") : null;
  if (!row) return (left = null);
  const section = row.closest("section");
  left = {
    section: sections().indexOf(section),
    row: rowsOf(section).indexOf(row),
    stop: stopsOf(row).indexOf(document.activeElement),
    name: nameOf(row),
  };
  return undefined;
});

document.addEventListener("htmx:after:swap", () => {
  if (!left || list().contains(document.activeElement)) return;
  const section = sections()[left.section];
  const rows = rowsOf(section);
  const row = rows.find((each) => nameOf(each) === left.name) ?? rows[Math.min(left.row, rows.length - 1)];
  const stops = row ? stopsOf(row) : [];
  const heading = section.querySelector("h2");
  heading.tabIndex = -1; // where nothing is left to stand on
  (stops[Math.min(left.stop, stops.length - 1)] ?? heading).focus();
  left = null;
});

/* A name that was refused stays as it was written, and is seen not to be the name. */
document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  const input = ctx.sourceElement?.querySelector?.(":scope > [name=name]");
  if (input && list()?.contains(input) && ctx.response && !ctx.response.raw.ok) input.ariaInvalid = "true";
});

document.addEventListener("input", ({ target }) => list()?.contains(target) && (target.ariaInvalid = null));

/* Escape gives up what is being written. */
document.addEventListener("keydown", ({ key, target }) => {
  if (key !== "Escape" || !list()?.contains(target) || target.value === target.defaultValue) return;
  target.value = target.defaultValue;
  target.ariaInvalid = null;
});
