/* Short messages at the foot of the page. Those of the server come as <hx-partial hx-target="#toasts">. */
const STAYS_MS = 7000;
const STAYS_WITH_UNDO_MS = 15000;

/** Let each toast go after a while, but not while it is pointed at or holds the focus. */
export function age(toasts) {
  for (const toast of toasts) setTimeout(() => leave(toast), toast.querySelector("button[hx-post]") ? STAYS_WITH_UNDO_MS : STAYS_MS);
}

function leave(toast) {
  if (toast.matches(":hover, :focus-within")) age([toast]);
  else toast.remove();
}

/** Show a toast that the page holds ready as <template id=…>. */
export function show(id) {
  const toast = document.getElementById(id).content.cloneNode(true);
  document.getElementById("toasts").append(toast);
}

/** Put `text` on the clipboard and say so. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyTheOldWay(text); // no clipboard API over plain HTTP
  }
  show("toast-copied");
}

function copyTheOldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/* Which pictures have changed is told by the toast that says so: headers must be short. */
window.addEventListener("library:changed", ({ detail }) => {
  const { changed, missed } = [...document.querySelectorAll("#toasts [data-changed]")].at(-1)?.dataset ?? {};
  detail.ids ??= changed?.match(/\S+/g) ?? [];
  detail.missed ??= missed?.match(/\S+/g) ?? [];
}, true);
