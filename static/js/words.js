/*
 * What people write about a picture is sent when a field is left (templates/library/_words.html). What did not arrive
 * stays in its field, which says so, and is sent again: when a field is left, when the line is back, when the studio
 * answers anything. The form may be gone by then, and come back as the studio knows it. What did arrive is said by the
 * picture's tile too.
 */
const WORDS = "form.words";
const TRY_LATER_FROM = 429;

const unsaved = new Map(); // address of the form → { name of a field: what was written in it }
const told = new Map(); // id of a picture → what its tile says by now
let owed = false; // something may arrive at another try

/** Keep what does not arrive, and bring up to date what pictures are called. */
export function keep() {
  document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => tell(ctx)); // before anybody hears "library:changed"
  document.addEventListener("library:revived", ({ target }) => retell(target.dataset.id));
  document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => leaveOut(ctx));
  document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => answered(ctx));
  document.addEventListener("change", ({ target }) => mark(target.closest?.(WORDS), undefined)); // is sent just now
  document.addEventListener("focusout", ({ target }) => navigator.onLine && target.closest?.(`${WORDS}[data-unsaved]`)?.requestSubmit());
  addEventListener("online", sendAgain);
  addEventListener("beforeunload", (event) => unsaved.size && event.preventDefault());
}

/* What nobody has changed here may have been changed elsewhere: the studio keeps what a form leaves out. Of a form that was refused it has kept nothing. */
function leaveOut({ request, sourceElement }) {
  if (!sourceElement?.matches?.(WORDS) || sourceElement.querySelector("[aria-invalid=true]")) return;
  const changed = written(sourceElement);
  for (const { name } of fieldsOf(sourceElement)) if (!(name in changed)) request.body.delete(name);
}

const addressOf = (form) => form.getAttribute("hx-post");
const fieldsOf = (form) => [...form.querySelectorAll(".input")];

function answered({ request, response, sourceElement }) {
  const form = sourceElement?.matches?.(WORDS) ? sourceElement : null;
  const ok = response?.status < 400;
  if (form || unsaved.has(request.action)) {
    const later = !response || response.status >= TRY_LATER_FROM;
    owed ||= later;
    if (form && later) unsaved.set(request.action, written(form));
    else if (form || ok) unsaved.delete(request.action); // a form says by itself what is wrong with its words
  }
  for (const shown of document.querySelectorAll(WORDS)) mark(shown, unsaved.get(addressOf(shown)));
  if (ok && owed) sendAgain();
}

function tell({ request, response, text, sourceElement }) {
  if (request.method !== "POST" || !request.action.endsWith("/words") || !response.raw.ok) return;
  const form = new DOMParser().parseFromString(text, "text/html").querySelector(`${WORDS}[data-tile]`);
  if (!form) return;
  const id = form.id.replace("words-", "");
  told.set(id, JSON.parse(form.dataset.tile));
  retell(id);
  // One below the large view shows what they are now.
  for (const other of document.querySelectorAll(`${WORDS}[hx-post="${request.action}"]`)) {
    if (other === sourceElement) continue;
    other.replaceWith(form);
    htmx.process(form);
  }
}

function retell(id) {
  const tile = document.getElementById(`tile-${id}`);
  const words = told.get(id);
  const opener = tile?.querySelector(".tile__open"); // a tile that rests has none
  if (!opener || !words) return;
  tile.querySelector("img[srcset]").alt = words.alt;
  opener.ariaLabel = words.open;
  opener.dataset.caption = words.caption;
  const tick = tile.querySelector("[name=ids]");
  if (tick) tick.ariaLabel = words.select;
}

function written(form) {
  const changed = fieldsOf(form).filter((field) => field.value !== field.defaultValue);
  return Object.fromEntries(changed.map(({ name, value }) => [name, value]));
}

/* Say of a form what of it is not saved, or that nothing is known to be so. */
function mark(form, texts) {
  if (!form || form.matches("[data-unsaved]") === Boolean(texts)) return;
  form.toggleAttribute("data-unsaved", Boolean(texts));
  for (const field of fieldsOf(form)) {
    field.toggleAttribute("data-unsaved", field.name in (texts ?? {}));
    if (texts) field.value = texts[field.name] ?? field.value;
  }
  const says = form.querySelector("[role=status]");
  if (says) says.textContent = texts ? form.dataset.notSaved : "";
}

async function sendAgain() {
  owed = false;
  for (const [address, values] of [...unsaved]) {
    const form = document.querySelector(`${WORDS}[hx-post="${address}"]`);
    if (form) form.requestSubmit();
    else await htmx.ajax("POST", address, { source: document.body, values, swap: "none" }).catch(() => {});
  }
}
