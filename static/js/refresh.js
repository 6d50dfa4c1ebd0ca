/* Pieces that ask for themselves anew: <div id data-refresh="/address" data-every="5">. Not while nobody looks. */

/** Keep all such pieces of the page fresh. What is open in one, or holds the focus, is let be. */
export function run() {
  for (const piece of document.querySelectorAll("[data-refresh]")) {
    setInterval(() => ask(piece.id), 1000 * Number(piece.dataset.every));
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) for (const piece of document.querySelectorAll("[data-refresh]")) ask(piece.id);
  });
}

function ask(id) {
  const piece = document.getElementById(id);
  if (!piece || document.hidden || piece.querySelector(":popover-open")) return;
  htmx.ajax("GET", piece.dataset.refresh, { source: piece, target: piece, swap: "outerMorph" });
}
