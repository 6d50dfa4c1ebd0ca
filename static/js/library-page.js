/* A picture's own page: the arrow keys lead to its neighbours. */
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (event.target.closest?.("input, textarea, select, dialog, [popover]")) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (!rel) return;
  document.querySelector(`[data-picture-page] a[rel=${rel}]`)?.click();
});

document.addEventListener("library:changed", ({ detail }) => {
  if (["trash", "restore"].includes(detail.verb)) location.reload();
  if (detail.verb === "delete") location.assign(document.querySelector("[data-picture-page] nav a").href);
});
