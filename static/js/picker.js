/*
 * The dialog in which a picture is chosen: <button data-pick-image="#field" data-pick-url="…">. What is chosen goes into
 * the field, and the button hears of it: an event "image:picked" with {id, title, src}.
 */
import * as upload from "./upload.js";

let dialog = null;
let opener = null;
let endUploads = () => {};

/** Open the dialog for `button`; its library is drawn anew each time. */
export async function open(button) {
  opener = button;
  dialog ??= make();
  const lines = dialog.querySelectorAll("[data-lines] > *");
  await htmx.ajax("GET", button.dataset.pickUrl, { source: button, target: dialog, swap: "innerHTML" });
  if (dialog.open) return;
  dialog.showModal();
  upload.goOn(lines);
  endUploads = upload.receive({ onStored: choose, show: () => show("upload") });
}

function make() {
  const made = document.createElement("dialog");
  made.className = "dialog picker-dialog";
  made.setAttribute("aria-labelledby", "picker-title");
  made.setAttribute("closedby", "any");
  made.addEventListener("click", clicked);
  made.addEventListener("dblclick", ({ target }) => target.closest("[data-pick]") && use());
  made.addEventListener("close", closed);
  document.body.append(made);
  return made;
}

function clicked({ target }) {
  const place = target.closest("[data-place]")?.dataset.place;
  if (place) show(place);
  if (target.closest("[data-picker-close]")) dialog.close();
  const picked = target.closest("[data-pick]");
  if (picked) for (const each of dialog.querySelectorAll("[data-pick]")) each.ariaPressed = String(each === picked);
  if (target.closest("[data-use]")) use();
}

function show(place) {
  for (const tab of dialog.querySelectorAll("[data-place]")) tab.ariaPressed = String(tab.dataset.place === place);
  for (const part of dialog.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== place;
}

/* What has just been brought is what was meant. */
function choose(id) {
  const foot = dialog.querySelector("#picker-picked");
  htmx.ajax("GET", foot.dataset.of.replace("ID", id), { source: foot, target: foot, swap: "innerHTML" });
}

function closed() {
  endUploads();
  opener?.focus();
}

function use() {
  const picked = dialog.querySelector("[data-picked]");
  if (!picked) return;
  const { picked: id, title, src } = picked.dataset;
  const field = document.querySelector(opener.dataset.pickImage);
  if (field) {
    field.value = id;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }
  dialog.close();
  opener.dispatchEvent(new CustomEvent("image:picked", { bubbles: true, detail: { id, title, src } }));
}
