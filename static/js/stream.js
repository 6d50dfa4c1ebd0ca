/*
 * The one stream of a page. Every message is HTML: parts that carry hx-swap-oob replace what the page shows, parts that
 * it does not show are passed over. `cursor` is the last event seen: the browser sends it as Last-Event-ID when it
 * connects again by itself, we send it as ?after= when we do. A hidden tab holds no connection (browsers allow six).
 * While the stream fails (from the first time, where it has never worked), jobs that are not finished are asked for
 * every 2 s.
 *
 * What comes while the page waits for an answer is shown after it: it may be about what that answer brings, or newer
 * than it.
 *
 * The event "bye" ends a stream; its data says why: "shutdown" (connect again), "busy" (too many streams: ask
 * instead), anything else, such as "signed_out": this page may not be shown any more.
 */
const FAILURES_BEFORE_POLLING = 3;
const POLL_MS = 2000;
const BUSY_MS = 60_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const LONGEST_HOLD_MS = 15_000;

let source = null;
let cursor = "";
let failures = 0;
let opened = false;
let reopening = 0;
let polling = 0;
let last = Promise.resolve();
const underWay = new Map();

/** Open the stream that <body data-stream data-after> names, if there is one. */
export function connect() {
  if (!document.body.dataset.stream) return;
  cursor = document.body.dataset.after ?? "";
  document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => underWay.set(ctx, answer()));
  document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => answered(ctx));
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  addEventListener("online", () => reopen(0));
  if (!document.hidden) open();
}

function open() {
  if (source) return;
  clearTimeout(reopening);
  const address = new URL(document.body.dataset.stream, location);
  if (cursor) address.searchParams.set("after", cursor);
  source = new EventSource(address);
  source.onopen = () => {
    failures = 0;
    opened = true;
    stopPolling();
  };
  source.onmessage = (event) => {
    cursor = event.lastEventId || cursor;
    show(event.data);
  };
  source.addEventListener("bye", (event) => leave(event.data));
  source.onerror = failed;
}

function close() {
  clearTimeout(reopening);
  stopPolling();
  source?.close();
  source = null;
}

function failed() {
  failures += 1;
  if (!opened || failures >= FAILURES_BEFORE_POLLING) startPolling();
  // CONNECTING: the browser is at it. CLOSED: it was told no, and would never try again.
  if (source?.readyState === EventSource.CLOSED) reopen(wait());
}

function leave(reason) {
  source?.close();
  source = null;
  if (reason === "shutdown") return reopen(wait());
  if (reason === "busy") {
    startPolling();
    return reopen(BUSY_MS);
  }
  location.reload();
}

function reopen(milliseconds) {
  clearTimeout(reopening);
  source?.close();
  source = null;
  reopening = setTimeout(() => !document.hidden && open(), milliseconds);
}

/* Longer each time, and never all pages at once. */
function wait() {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures) * (0.7 + 0.6 * Math.random());
}

/* An answer that messages wait for, though not for ever: what is slow elsewhere must not keep this page still. */
function answer() {
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  setTimeout(end, LONGEST_HOLD_MS);
  return { ended, end };
}

function answered(ctx) {
  underWay.get(ctx)?.end();
  underWay.delete(ctx);
}

/* One after the other: a later event must not be overtaken by an earlier one. */
function show(html) {
  const before = [...underWay.values()].map(({ ended }) => ended);
  last = last.then(() => Promise.all(before)).then(() => htmx.swap({ text: html, sourceElement: document.body, swap: "none" })).catch(() => {});
}

function startPolling() {
  polling ||= setInterval(poll, POLL_MS);
}

function stopPolling() {
  clearInterval(polling);
  polling = 0;
}

function poll() {
  for (const status of document.querySelectorAll("[data-poll]")) {
    htmx.ajax("GET", status.dataset.poll, { source: status, swap: "none" });
  }
}
