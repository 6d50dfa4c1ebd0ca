/*
 * Uploads: picked, dropped anywhere, or pasted; a line for each with a bar, three at a time. Each file is a request of
 * its own, so that one that is refused or breaks off holds up no other.
 */
import { filesOf } from "./dropped.js";

const AT_ONCE = 3;
const AGAIN_FROM = 429;
const SIGNED_OUT = 401;
const SHEET_STAYS_MS = 2000;
const DIRECTIONS = /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g; // as imagegen/services/uploads.py

const waiting = [];
const busy = new Set();
const receivers = [];
let done = 0;
let all = 0;
let turnedDown = 0;
let own = false; // what is dragged comes from the page itself
let falling = 0;

const tray = () => document.querySelector("dialog[open] [data-tray]") ?? document.querySelector("[data-tray]");
const token = () => JSON.parse(document.body.getAttribute("hx-headers:inherited") ?? "{}")["X-CSRFToken"] ?? "";

/**
 * Take what is picked, dropped or pasted from now on, before whoever did so until now. `onStored(id)` hears of each
 * picture that is in the library then; `show()` brings the tray into sight. Returns what ends it.
 */
export function receive({ onStored, show = () => {} }) {
  if (!receivers.length) bind();
  const receiver = { onStored, show };
  receivers.push(receiver);
  return () => receivers.includes(receiver) && receivers.splice(receivers.indexOf(receiver), 1);
}

/* Once, and for good: without a receiver all of it does nothing. */
let bind = () => {
  bind = () => {};
  document.addEventListener("change", ({ target }) => target.matches("[data-upload]") && picked(target));
  document.addEventListener("click", ({ target }) => target.closest?.("[data-tray-close]") && close());
  document.addEventListener("paste", pasted);
  for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, dragged);
  for (const name of ["pointerdown", "dragstart", "dragend"]) {
    document.addEventListener(name, () => (own = name === "dragstart"));
  }
  for (const name of ["pointermove", "keydown"]) document.addEventListener(name, () => falling && fall());
  addEventListener("beforeunload", (event) => (waiting.length || busy.size) && event.preventDefault());
};

/**
 * Go on in a tray that was drawn anew: with the `lines` of the one before while something is on its way, else
 * from the beginning.
 */
export function goOn(lines) {
  if (!busy.size && !waiting.length) return (done = all = turnedDown = 0);
  tray().querySelector("[data-lines]").append(...lines);
  return title();
}

function picked(input) {
  accept(input.files);
  input.value = "";
}

function accept(files) {
  if (!receivers.length) return; // a folder was read for longer than anybody waited
  const { onStored, show: bringUp } = receivers.at(-1);
  bringUp();
  const lines = tray().querySelector("[data-lines]");
  const before = lines.childElementCount;
  for (const file of files) {
    const line = document.querySelector("template[data-line]").content.firstElementChild.cloneNode(true);
    const name = file.name.replace(DIRECTIONS, ""); // "gnp.exe" may not look like "exe.png"
    const entry = { file, name, line, onStored, request: null };
    line.querySelector("[data-name]").textContent = name;
    line.querySelector("[data-name]").title = name;
    line.querySelector("[data-cancel]").addEventListener("click", () => cancel(entry));
    line.querySelector("[data-again]").addEventListener("click", () => again(entry));
    lines.append(line);
    waiting.push(entry);
    all += 1;
    show(entry, "waiting");
  }
  next();
  // Those that were brought before may fill the tray.
  const topOf = (element) => element.getBoundingClientRect().top;
  if (lines.children[before]) lines.scrollTop += topOf(lines.children[before]) - topOf(lines);
}

function pasted(event) {
  const files = [...(event.clipboardData?.files ?? [])];
  const words = event.target.closest?.("input, textarea") && event.clipboardData.types.includes("text/plain");
  if (!files.length || words || !receivers.length) return;
  event.preventDefault();
  accept(files);
}

async function dragged(event) {
  if (own || !event.dataTransfer?.types.includes("Files") || !receivers.length) return;
  event.preventDefault();
  if (event.type === "dragover") receivers.at(-1).show();
  if (event.type === "dragover") rise();
  else if (event.type === "drop" || !event.relatedTarget) fall();
  if (event.type === "drop") accept(await filesOf(event.dataTransfer));
}

/*
 * The sheet on which files are dropped. Who lets go of them elsewhere, or thinks better of it, may leave no event
 * behind: it goes once nothing is heard of the drag, or something that no drag lets through.
 */
function rise() {
  const sheet = document.querySelector("dialog[open] [data-drop]") ?? document.querySelector("[data-drop]");
  if (sheet.hidden) sheet.hidden = false;
  clearTimeout(falling);
  falling = setTimeout(fall, SHEET_STAYS_MS);
}

function fall() {
  clearTimeout(falling);
  falling = 0;
  for (const sheet of document.querySelectorAll("[data-drop]")) sheet.hidden = true;
}

function next() {
  while (busy.size < AT_ONCE && waiting.length) send(waiting.shift());
  title();
  // Nobody hears one sentence of each when many are turned down at once.
  if (!busy.size && turnedDown > 1) document.querySelector("[data-tray-says]").textContent = tray().querySelector("[data-tray-title]").textContent;
}

function send(entry) {
  const request = new XMLHttpRequest();
  const bar = entry.line.querySelector("progress");
  entry.request = request;
  busy.add(entry);
  show(entry, "sending");
  request.open("POST", tray().dataset.url);
  request.setRequestHeader("X-CSRFToken", token());
  request.setRequestHeader("HX-Request", "true");
  request.setRequestHeader("HX-Request-Type", "partial");
  request.upload.onprogress = (event) => (bar.value = (100 * event.loaded) / event.total);
  request.upload.onload = () => show(entry, "checking");
  request.onload = () => answered(entry, request);
  request.onerror = () => end(entry, "broken", "", true);
  request.onabort = () => end(entry, "canceled", "", true);
  const body = new FormData();
  body.append("file", entry.file);
  request.send(body);
}

function answered(entry, request) {
  const answer = new DOMParser().parseFromString(request.responseText, "text/html").body;
  const tile = answer.querySelector("[data-uploaded]");
  if (!tile) return refused(entry, request, answer);
  const open = entry.line.querySelector("[data-open]");
  // All that lets it open large over the page: who leaves the page ends what is still on its way.
  for (const { name, value } of tile.querySelector(".tile__open").attributes) {
    if (name === "href" || name.startsWith("data-")) open.setAttribute(name, value);
  }
  open.hidden = false;
  const drawn = tile.querySelector("img[srcset]");
  open.dataset.name = drawn.alt;
  for (const name of ["src", "srcset"]) entry.line.querySelector("img").setAttribute(name, drawn.getAttribute(name));
  done += 1;
  end(entry, tile.hasAttribute("data-earlier") ? "known" : "added");
  entry.onStored(tile.dataset.uploaded);
}

/* The answer says why, as a refusal or as any error does; one that says nothing is none of the studio's. */
function refused(entry, request, answer) {
  if (request.status === SIGNED_OUT) return end(entry, "away");
  const refusal = answer.querySelector("[data-refused]");
  const sentence = (refusal ?? answer.querySelector("[data-toast] p"))?.textContent.trim();
  if (!sentence) return end(entry, "broken", "", true);
  return end(entry, "refused", sentence, request.status >= AGAIN_FROM || refusal?.hasAttribute("data-again"));
}

function end(entry, state, sentence = "", mayRepeat = false) {
  busy.delete(entry);
  entry.request = null;
  if (state === "refused") turnedDown += 1;
  show(entry, state, sentence);
  offer(entry, { "data-again": mayRepeat, "data-cancel": false });
  next();
}

/* Show and hide buttons of a line; the focus stays in it. */
function offer({ line }, buttons) {
  const within = line.contains(document.activeElement);
  for (const [name, on] of Object.entries(buttons)) line.querySelector(`button[${name}]`).hidden = !on;
  if (within) line.querySelector(":is(a, button):not([hidden])")?.focus();
}

function cancel(entry) {
  if (entry.request) return entry.request.abort();
  waiting.splice(waiting.indexOf(entry), 1);
  return end(entry, "canceled", "", true);
}

function again(entry) {
  if (entry.line.dataset.state === "refused") turnedDown -= 1;
  offer(entry, { "data-again": false, "data-cancel": true });
  entry.line.querySelector("progress").value = 0;
  waiting.push(entry);
  show(entry, "waiting");
  next();
}

function show({ line, name }, state, sentence = "") {
  line.dataset.state = state;
  const says = line.querySelector("[data-says]");
  says.textContent = sentence || (says.dataset[state] ?? "");
  const aloud = document.querySelector("[data-tray-says]");
  const words = { added: aloud.dataset.added, known: aloud.dataset.known, refused: aloud.dataset.refused, broken: aloud.dataset.refused }[state];
  if (words) aloud.textContent = `${words.replace("#", () => name)} ${state === "refused" || state === "broken" ? says.textContent : ""}`.trim();
}

function title() {
  tray().hidden = !all;
  const heading = tray().querySelector("[data-tray-title]");
  const words = turnedDown ? heading.dataset.wordsRefused.replace("###", turnedDown) : heading.dataset.words;
  heading.textContent = words.replace("##", all).replace("#", done);
  tray().querySelector("[data-tray-close]").hidden = busy.size > 0 || waiting.length > 0;
}

function close() {
  tray().hidden = true;
  tray().querySelector("[data-lines]").replaceChildren();
  done = all = turnedDown = 0;
  const picker = document.querySelector("dialog[open] [data-upload]") ?? document.querySelector("[data-upload]");
  picker?.focus({ preventScroll: true });
}
