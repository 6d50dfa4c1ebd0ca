/*
 * Steps back and forth in a browser. htmx loads a page anew when its address comes back (htmx-config: "reload"); where
 * the page shows that address already, as below a picture that is open large, there is nothing to load.
 */
const address = ({ pathname, search } = location) => pathname + search;

let shown = address();

/** Bind everything. */
export function begin() {
  for (const name of ["push", "replace"]) document.addEventListener(`htmx:after:history:${name}`, () => (shown = address()));
  document.addEventListener("htmx:before:history:restore", (event) => address() === shown && event.preventDefault());
  // Nor may htmx take such a step over: the focus would be lost, and the page scrolled.
  window.navigation?.addEventListener("navigate", (event) => {
    const stays = event.navigationType === "traverse" && address(new URL(event.destination.url)) === shown;
    if (stays) event.stopImmediatePropagation();
  }, true);
  // What is drawn anew where one is, is no step.
  document.addEventListener("htmx:before:history:update", (event) => event.detail.history.path === shown && event.preventDefault());
  // Somebody comes back from another page, to which a picture that was open large has led: it is not open any more.
  if (history.state?.large) history.back();
}
