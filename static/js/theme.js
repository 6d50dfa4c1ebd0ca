/* Light, dark, or as the system has it; kept in a cookie, so that the server draws the page right at once. */
const YEAR_SECONDS = 31_536_000;

/** Use `theme` ("system", "light", "dark") from now on. */
export function choose(theme) {
  document.documentElement.dataset.theme = theme;
  document.cookie = `theme=${theme}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.ariaPressed = String(button.dataset.themeChoice === theme);
  }
}
