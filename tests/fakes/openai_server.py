"""A stand-in for OpenAI's image service: checks each request, draws, counts tokens, bills, and fails on demand.

    with OpenAIServer() as server:
        server.script("429", {"kind": "500", "latency": 2})
        ...                                # server.base_url, server.requests, server.bill

With `addresses` it answers, as DALL·E did, with addresses where it keeps the pictures itself; `script_downloads` says
how those downloads go (`tests.fakes.downloads`).

`python -m tests.fakes.openai_server --port 9999` serves until stopped, steered by `POST /_control`:
`{"faults": [...], "always": ..., "latency": seconds, "photo": true, "addresses": true, "downloads": [...], "release":
true, "reset": true}`; `GET /_control` tells what has happened.
"""

from __future__ import annotations

import argparse
import json
import secrets
import threading
import time
from collections import OrderedDict, deque
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import pybase64
from pydantic_core import to_json

from tests.fakes import downloads
from tests.fakes.answering import AnsweringHandler, StoppableServer
from tests.fakes.openai_answers import drawn_answer, model_entry, price
from tests.fakes.openai_contract import MODELS, OLD_MODELS, complaint
from tests.fakes.openai_faults import BILLED, FAULTS, Fault, as_fault, error_body

DEFAULT_KEY = "sk-canary-2f9c81d7e6b54a03"
SIGNATURE = "sig-canary-8d05b6"
"""Stands in every address of a picture: whoever finds it elsewhere has found a leak."""
MOST_KEPT = 256


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
    addresses: bool = False
    kept: OrderedDict[str, tuple[bytes, str]] = field(default_factory=OrderedDict)
    """Pictures by path, with their media types."""
    downloads: deque[downloads.Way] = field(default_factory=deque)
    fetched: list[Recorded] = field(default_factory=list)
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

    def next_download(self) -> downloads.Way:
        """Return how the download at hand goes."""
        with self.lock:
            return self.downloads.popleft() if self.downloads else {"kind": "none"}

    def keep(self, data: bytes, output_format: str) -> str:
        """Keep a picture and return the path under which it is served; the oldest ones go."""
        path = f"/pictures/{secrets.token_hex(8)}.{output_format}"
        with self.lock:
            self.kept[path] = (data, f"image/{output_format}")
            while len(self.kept) > MOST_KEPT:
                self.kept.popitem(last=False)
        return f"{path}?{SIGNATURE}"

    def control(self, orders: dict[str, Any]) -> None:
        """Follow `orders`; raise ValueError for a fault that there is not."""
        faults = [as_fault(fault) for fault in orders.get("faults", ())]
        ways = [downloads.as_way(way) for way in orders.get("downloads", ())]
        with self.lock:
            if orders.get("reset"):
                self.faults.clear()
                self.requests.clear()
                self.downloads.clear()
                self.fetched.clear()
                self.always, self.latency, self.most_busy, self.photo, self.addresses = None, 0.0, 0, False, False
            if any(fault.get("hold") for fault in faults):
                self.released.clear()
            if orders.get("release") or orders.get("reset"):
                self.released.set()
            if "always" in orders:
                self.always = as_fault(orders["always"]) if orders["always"] else None
            self.latency = float(orders.get("latency", self.latency))
            self.photo = bool(orders.get("photo", self.photo))
            self.addresses = bool(orders.get("addresses", self.addresses))
            self.faults.extend(faults)
            self.downloads.extend(ways)

    def report(self) -> dict[str, Any]:
        """Return what has happened so far."""
        with self.lock:
            return {
                "requests": len(self.requests),
                "generations": sum(seen.method == "POST" for seen in self.requests),
                "complaints": [seen.complaint for seen in self.requests if seen.complaint],
                "bill_micro": sum(seen.billed_micro for seen in self.requests),
                "most_busy": self.most_busy,
                "downloads": len(self.fetched),
                "log": [asdict(seen) for seen in self.requests],
            }


class Server(StoppableServer):
    """One thread a connection."""

    request_queue_size = 256

    def __init__(self, port: int, key: str | None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.key = key
        self.state = State()


class Handler(AnsweringHandler):
    """One connection."""

    server: Server

    def do_GET(self) -> None:
        """List the models, or report."""
        if self.path == "/_control":
            self.send_json(200, self.server.state.report())
            return
        if self.path.startswith("/pictures/"):
            self._serve_picture()
            return
        seen = self._record(None)
        if self._key_is_wrong(seen):
            return
        if self.path == "/v1/models":
            self.send_json(200, {"object": "list", "data": [model_entry(name) for name in MODELS]})
        else:
            self.send_json(404, error_body("Unknown path.", "invalid_request_error"))

    def _serve_picture(self) -> None:
        """Answer as storage behind signed addresses does: no key is asked for, and none is to be sent."""
        state = self.server.state
        seen = Recorded(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, None)
        with state.lock:
            state.fetched.append(seen)
            kept = state.kept.get(self.path.partition("?")[0])
        self._seen = seen
        way = state.next_download()
        seen.fault = way["kind"]
        if kept is None or not self.path.endswith(SIGNATURE):
            self.send_bytes(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
        else:
            downloads.send(self, way, *kept)

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
        # While the client waits: an answer of two megabytes takes its time, and thirty at once more than that.
        prepared = self._prepare(seen)
        self._wait(fault or {}, seen.arrived_at)
        if self._key_is_wrong(seen):
            return
        if self.path != "/v1/images/generations":
            self.send_json(404, error_body("Unknown path.", "invalid_request_error"))
            return
        if fault and fault["kind"] not in BILLED:
            FAULTS[fault["kind"]](self, fault, {})
            return
        if seen.complaint:
            self.send_json(400, error_body(seen.complaint, "invalid_request_error", "invalid_value"))
            return
        if prepared is None:
            self.send_json(404, error_body("No such model.", "invalid_request_error", "model_not_found"))
            return
        answer, body = prepared
        seen.usage = answer.get("usage")
        seen.billed_micro = price(seen.body["model"], seen.usage)
        if fault:
            FAULTS[fault["kind"]](self, fault, answer)
        else:
            self.send_bytes(200, body, "application/json")

    def _prepare(self, seen: Recorded) -> tuple[dict[str, Any], bytes] | None:
        """Draw what is asked for, and write it as JSON; None for what can't be drawn."""
        seen.complaint = complaint(seen.body, self.headers.get("Authorization", ""))
        if seen.complaint or seen.body["model"] not in MODELS + OLD_MODELS:
            return None
        answer = drawn_answer(seen.body, photo=self.server.state.photo)
        if self.server.state.addresses:
            self._keep_pictures(answer, seen.body.get("output_format", "png"))
        return answer, to_json(answer)

    def _keep_pictures(self, answer: dict[str, Any], output_format: str) -> None:
        """Put addresses in the place of the pictures of `answer`."""
        drawn = [pybase64.b64decode(item["b64_json"]) for item in answer["data"]]
        paths = [self.server.state.keep(data, output_format) for data in drawn]
        answer["data"] = [{"url": f"http://{self.headers['Host']}{path}"} for path in paths]

    def note_answer(self, status: int) -> None:
        """Write down when the answer began."""
        if hasattr(self, "_seen"):
            self._seen.status = status
            self._seen.answered_at = time.monotonic()

    def _wait(self, fault: Fault, since: float) -> None:
        state, stopping = self.server.state, self.server.stopping
        due = since + float(fault.get("latency", state.latency))
        stopping.wait(max(0.0, due - time.monotonic()))
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

    def script_downloads(self, *ways: str | downloads.Way) -> None:
        """Answer with addresses from now on, and let the next downloads go these ways, one each."""
        self._server.state.control({"addresses": True, "downloads": list(ways)})

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
    def fetched(self) -> list[Recorded]:
        """Return the downloads so far; they are not among the `requests`."""
        with self._server.state.lock:
            return list(self._server.state.fetched)

    @property
    def bill(self) -> int:
        """Return what the caller owes, in micro-USD."""
        return sum(seen.billed_micro for seen in self.requests)

    @property
    def most_busy(self) -> int:
        """Return how many requests were in work at once."""
        return self._server.state.most_busy


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
