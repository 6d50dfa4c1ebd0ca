"""A stand-in for OpenAI's image service: checks each request, draws, counts tokens, bills, and fails on demand.

    with OpenAIServer() as server:
        server.script("429", {"kind": "500", "latency": 2})
        ...                                # server.base_url, server.requests, server.bill

`python -m tests.fakes.openai_server --port 9999` serves until stopped, steered by `POST /_control`:
`{"faults": [...], "always": ..., "latency": seconds, "photo": true, "release": true, "reset": true}`; `GET
/_control` tells what has happened.
"""

from __future__ import annotations

import argparse
import json
import select
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pybase64

from tests.fakes.openai_contract import LISTED_SIZE_MODELS, MODELS, OLD_MODELS, SHUTDOWN, complaint, size_of
from tests.fakes.openai_faults import BILLED, FAULTS, Fault, as_fault, error_body
from tests.fakes.pictures import picture

DEFAULT_KEY = "sk-canary-2f9c81d7e6b54a03"
# Dollars for a million tokens (text in, picture out), kept apart from the studio's own table on purpose.
_RATES = {"gpt-image-1.5": ("5", "32"), "gpt-image-1-mini": ("2", "8")}
_USUAL_RATES = ("5", "30")
# Tokens of a picture of 1024 by 1024.
_TOKENS = {"low": 180, "medium": 1490, "high": 6210, "xhigh": 9300, "max": 12400}
_OLDER_TOKENS = {"low": 272, "medium": 1056, "high": 4152}


@dataclass(slots=True)
class Recorded:
    """A request as it came, and what became of it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    fault: str | None = None
    status: int | None = None
    complaint: str | None = None
    billed_micro: int = 0
    usage: dict[str, Any] | None = None
    arrived_at: float = field(default_factory=time.monotonic)
    answered_at: float | None = None
    """When it began to answer, by the machine's monotonic clock, as `arrived_at`."""


@dataclass
class State:
    """What the service was told and what it has seen; guarded by `lock`."""

    latency: float = 0.0
    photo: bool = False
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault | None = None
    requests: list[Recorded] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)
    """Set: what is held back is answered."""

    def next_fault(self) -> Fault | None:
        """Return the fault for the request at hand."""
        with self.lock:
            return self.faults.popleft() if self.faults else self.always

    def control(self, orders: dict[str, Any]) -> None:
        """Follow `orders`; raise ValueError for a fault that there is not."""
        faults = [as_fault(fault) for fault in orders.get("faults", ())]
        with self.lock:
            if orders.get("reset"):
                self.faults.clear()
                self.requests.clear()
                self.always, self.latency, self.most_busy, self.photo = None, 0.0, 0, False
            if any(fault.get("hold") for fault in faults):
                self.released.clear()
            if orders.get("release") or orders.get("reset"):
                self.released.set()
            if "always" in orders:
                self.always = as_fault(orders["always"]) if orders["always"] else None
            self.latency = float(orders.get("latency", self.latency))
            self.photo = bool(orders.get("photo", self.photo))
            self.faults.extend(faults)

    def report(self) -> dict[str, Any]:
        """Return what has happened so far."""
        with self.lock:
            return {
                "requests": len(self.requests),
                "generations": sum(seen.method == "POST" for seen in self.requests),
                "complaints": [seen.complaint for seen in self.requests if seen.complaint],
                "bill_micro": sum(seen.billed_micro for seen in self.requests),
                "most_busy": self.most_busy,
                "log": [asdict(seen) for seen in self.requests],
            }


class Server(ThreadingHTTPServer):
    """One thread a connection; `stopping` wakes those that hang."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, key: str | None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.key = key
        self.state = State()
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: callers that hang up are part of the play."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one piece; two small writes would wait for each other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """List the models, or report."""
        if self.path == "/_control":
            self.send_json(200, self.server.state.report())
            return
        seen = self._record(None)
        if self._key_is_wrong(seen):
            return
        if self.path == "/v1/models":
            self.send_json(200, {"object": "list", "data": [_model(name) for name in MODELS]})
        else:
            self.send_json(404, error_body("Unknown path.", "invalid_request_error"))

    def do_POST(self) -> None:
        """Draw, or follow orders."""
        raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/_control":
            self._follow(raw)
            return
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        state = self.server.state
        with state.lock:
            state.busy += 1
            state.most_busy = max(state.most_busy, state.busy)
        try:
            self._generate(self._record(body))
        finally:
            with state.lock:
                state.busy -= 1

    def _follow(self, raw: bytes) -> None:
        try:
            self.server.state.control(json.loads(raw))
        except ValueError as error:
            self.send_json(400, {"error": str(error)})
        else:
            self.send_json(200, {"ok": True})

    def _generate(self, seen: Recorded) -> None:
        fault = self.server.state.next_fault()
        seen.fault = fault["kind"] if fault else None
        self._seen = seen
        self._wait(fault or {})
        if self._key_is_wrong(seen):
            return
        if self.path != "/v1/images/generations":
            self.send_json(404, error_body("Unknown path.", "invalid_request_error"))
            return
        if fault and fault["kind"] not in BILLED:
            FAULTS[fault["kind"]](self, fault, {})
            return
        seen.complaint = complaint(seen.body, self.headers["Authorization"])
        if seen.complaint:
            self.send_json(400, error_body(seen.complaint, "invalid_request_error", "invalid_value"))
            return
        if seen.body["model"] not in MODELS + OLD_MODELS:
            self.send_json(404, error_body("No such model.", "invalid_request_error", "model_not_found"))
            return
        answer = _draw(seen.body, photo=self.server.state.photo)
        seen.usage = answer.get("usage")
        seen.billed_micro = _price(seen.body["model"], seen.usage)
        if fault:
            FAULTS[fault["kind"]](self, fault, answer)
        else:
            self.send_json(200, answer)

    def _wait(self, fault: Fault) -> None:
        state, stopping = self.server.state, self.server.stopping
        stopping.wait(float(fault.get("latency", state.latency)))
        while fault.get("hold") and not stopping.is_set() and not state.released.wait(0.02):
            pass

    def _record(self, body: Any) -> Recorded:
        seen = Recorded(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        with self.server.state.lock:
            self.server.state.requests.append(seen)
        self._seen = seen
        return seen

    def _key_is_wrong(self, seen: Recorded) -> bool:
        given = seen.headers.get("authorization", "")
        if given == f"Bearer {self.server.key}" or (self.server.key is None and given.startswith("Bearer ")):
            return False
        FAULTS["401"](self, {}, {})
        return True

    def send_json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """Answer with `body` as JSON."""
        self.send_bytes(status, json.dumps(body).encode(), "application/json", headers or {})

    def send_bytes(self, status: int, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        """Answer with `body`."""
        self.begin(status, len(body), content_type, headers)
        self.wfile.write(body)

    def begin(
        self, status: int, length: int | None, content_type: str, headers: dict[str, str] | None = None
    ) -> None:
        """Send the head of an answer; without a length the end of the connection ends it."""
        if hasattr(self, "_seen"):
            self._seen.status = status
            self._seen.answered_at = time.monotonic()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("x-request-id", f"req_{id(self):x}")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length is None:
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def drip(self, pieces: Iterable[bytes], seconds: float) -> None:
        """Send `pieces` one by one until they are through, the caller has left or the server stops."""
        self.close_connection = True
        try:
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                if self.server.stopping.wait(seconds):
                    return
        except OSError:
            return

    def wait_until_left(self) -> None:
        """Say nothing until the caller hangs up or the server stops."""
        self.close_connection = True
        while not self.server.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable:
                return


class OpenAIServer:
    """The service on a thread of this process; a context manager."""

    def __init__(self, port: int = 0, key: str | None = DEFAULT_KEY) -> None:
        self._server = Server(port, key)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End the service and whatever hangs in it."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        """Return what to set as OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def key(self) -> str:
        """Return the one key that is accepted."""
        return self._server.key or DEFAULT_KEY

    def script(self, *faults: str | Fault, latency: float | None = None) -> None:
        """Give the next requests one fault each, and all of them a latency in seconds."""
        orders: dict[str, Any] = {"faults": list(faults)}
        self._server.state.control(orders if latency is None else {**orders, "latency": latency})

    def release(self) -> None:
        """Answer what was held back."""
        self._server.state.control({"release": True})

    def reset(self) -> None:
        """Forget everything that was ordered and seen."""
        self._server.state.control({"reset": True})

    @property
    def requests(self) -> list[Recorded]:
        """Return what has come so far."""
        with self._server.state.lock:
            return list(self._server.state.requests)

    @property
    def bill(self) -> int:
        """Return what the caller owes, in micro-USD."""
        return sum(seen.billed_micro for seen in self.requests)

    @property
    def most_busy(self) -> int:
        """Return how many requests were in work at once."""
        return self._server.state.most_busy


def _draw(body: dict[str, Any], *, photo: bool) -> dict[str, Any]:
    width, height = size_of(body)
    output_format = body.get("output_format", "png")
    transparent = body.get("background") == "transparent"
    count = body.get("n", 1)
    pictures = [
        pybase64.b64encode(picture(width, height, output_format, transparent=transparent, photo=photo)).decode()
        for _ in range(count)
    ]
    answer = {"created": int(time.time()), "data": [{"b64_json": drawn} for drawn in pictures]}
    if body["model"] in OLD_MODELS:
        return answer
    quality = "medium" if body.get("quality", "auto") == "auto" else body["quality"]
    tokens = (_OLDER_TOKENS if body["model"] in LISTED_SIZE_MODELS else _TOKENS)[quality]
    return answer | {
        "background": "transparent" if transparent else "opaque",
        "output_format": output_format,
        "size": f"{width}x{height}",
        "quality": quality,
        "usage": _usage(body["prompt"], count * (tokens * width * height // (1024 * 1024))),
    }


def _usage(prompt: str, drawn: int) -> dict[str, Any]:
    words = len(prompt.encode()) // 4 + 1
    return {
        "input_tokens": words,
        "input_tokens_details": {"text_tokens": words, "image_tokens": 0},
        "output_tokens": drawn,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": drawn},
        "total_tokens": words + drawn,
    }


def _price(model: str, usage: dict[str, Any] | None) -> int:
    if usage is None:
        return 0
    words, drawn = (Decimal(rate) for rate in _RATES.get(model, _USUAL_RATES))
    # Dollars for a million tokens are micro-dollars for one.
    owed = usage["input_tokens"] * words + usage["output_tokens"] * drawn
    return int(owed.to_integral_value(ROUND_HALF_EVEN))


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 1_762_000_000,
        "owned_by": "openai",
        "shutdown_date": SHUTDOWN.get(name),
    }


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="A stand-in for OpenAI's image service.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default=None, help="the one key to accept; any if left out")
    arguments = parser.parse_args()
    server = Server(arguments.port, arguments.key)
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.stopping.set()


if __name__ == "__main__":
    main()
