/* The form of the generator: counting, sending once, keeping what was open when the choices are drawn anew. */

const form = () => document.querySelector("[data-composer]");
const numbers = new Intl.NumberFormat(document.documentElement.lang);

/** Bind everything; does nothing on a page without the form. */
export function enhance() {
  if (!form()) return;
  document.addEventListener("input", typed);
  document.addEventListener("change", chosen);
  document.addEventListener("keydown", sendByKey);
  document.addEventListener("click", useExample);
  document.addEventListener("htmx:before:swap", remember);
  document.addEventListener("htmx:after:swap", restore);
  document.addEventListener("htmx:after:request", answered);
  count();
  summarise();
}

function typed(event) {
  if (event.target.id !== "prompt") return;
  newKeyAfterFailure();
  event.target.removeAttribute("aria-invalid");
  document.getElementById("composer-message").replaceChildren();
  count();
}

function chosen(event) {
  if (!event.target.closest("[data-composer]")) return;
  newKeyAfterFailure();
  summarise();
}

/** Show how many characters of how many are used; people count characters, not UTF-16 units. */
function count() {
  const counter = document.getElementById("counter");
  const used = [...document.getElementById("prompt").value].length;
  const limit = Number(counter.dataset.limit);
  counter.textContent = `${numbers.format(used)} / ${numbers.format(limit)}`;
  counter.toggleAttribute("data-over", used > limit);
}

/** Put the hint of the chosen shape beside its heading, and the choices into the chips that a phone shows. */
function summarise() {
  const choices = document.querySelector("[data-choices]");
  if (!choices) return;
  const shapes = [...choices.querySelectorAll("[name=aspect_ratios]:checked")];
  const hint = choices.querySelector("[data-shape-hint]");
  if (hint) hint.textContent = shapes.length === 1 ? shapes[0].dataset.hint : "";
  const words = [...choices.querySelectorAll("[data-chosen-label]:is(button, :checked)")].map((each) => each.dataset.chosenLabel);
  const variants = choices.querySelector("[name=variants_exact]")?.value || choices.querySelector("[name=variants]:checked")?.value;
  if (variants) words.push(`× ${variants}`);
  const row = document.querySelector(".chosen");
  for (const chip of row.querySelectorAll("[data-chosen]")) chip.remove();
  row.append(...words.map(chip));
}

function chip(text) {
  const element = document.createElement("span");
  element.className = "chip";
  element.dataset.chosen = "";
  element.textContent = text;
  return element;
}

function sendByKey(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !event.target.closest("[data-composer]")) return;
  event.preventDefault();
  form().requestSubmit(document.getElementById("generate"));
}

function useExample(event) {
  const example = event.target.closest("[data-example]");
  if (!example || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const prompt = document.getElementById("prompt");
  prompt.value = example.dataset.example;
  prompt.focus();
  prompt.dispatchEvent(new Event("input", { bubbles: true }));
}

/*
 * The key makes one job of one wish: sent twice by a nervous finger or a bad line, it stays the same; it is new once
 * the wish was granted, or was changed after it failed.
 */
let failedOnce = false;

function answered({ detail: { ctx } }) {
  if (ctx.sourceElement !== form()) return;
  failedOnce = !ctx.response.raw.ok;
  if (failedOnce) return;
  newKey();
  document.getElementById("first")?.remove();
  scrollTo({ top: 0 });
}

function newKeyAfterFailure() {
  if (failedOnce) newKey();
  failedOnce = false;
}

function newKey() {
  // crypto.randomUUID is missing where the studio is opened over plain HTTP from another machine.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  form().elements.idempotency_key.value = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

let kept = null;

function remember({ detail: { ctx } }) {
  if (ctx.target?.id !== "choices") return;
  kept = {
    more: document.getElementById("more")?.open,
    fromDialog: ctx.sourceElement.matches("[data-model]"),
  };
}

function restore({ detail: { ctx } }) {
  if (ctx.sourceElement === form() && !ctx.response?.raw.ok) showError();
  if (!kept) return;
  const more = document.getElementById("more");
  if (more) more.open = kept.more;
  if (kept.fromDialog) document.getElementById("model").focus({ preventScroll: true });
  kept = null;
  count();
  summarise();
  // What is there already depends on the choices too, and nobody's hand has changed them.
  document.getElementById("choices").dispatchEvent(new Event("redrawn", { bubbles: true }));
}

function showError() {
  const error = document.querySelector("#composer-message [data-field]");
  const field = error && document.getElementById(error.dataset.field);
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
}
