/* Clocks that run: <time datetime="…" data-since> shows how long ago that was, as 0:07 or 1:02:03. */
const EVERY_MS = 1000;

let begun = false;

/** Keep all clocks of the page running, those that come later too. */
export function run() {
  if (begun) return;
  begun = true;
  setInterval(show, EVERY_MS);
  new MutationObserver(show).observe(document.body, { childList: true, subtree: true });
  show();
}

function show() {
  if (document.hidden) return;
  for (const clock of document.querySelectorAll("time[data-since]")) {
    const words = passed(Date.now() - Date.parse(clock.dateTime));
    if (clock.textContent !== words) clock.textContent = words;
  }
}

function passed(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const pad = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
}
