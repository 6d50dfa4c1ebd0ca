"""What the studio adds to one picture: from the click to the provider, from the answer to the page."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.bare import BareScript
from bench.service import Service
from bench.table import Baseline, Row, median, percentile
from bench.visitor import Visitor
from tests.running_studio import Studio

ROUNDS = 40
WARM_UP = 4
LATENCY = 0.1
EMAIL, PASSWORD = "bench@example.org", "a long enough password"
WISH: dict[str, object] = {"model": "gpt-image-2", "prompt": "a lighthouse in fog", "size": "1024x1024"}


@dataclass(frozen=True, slots=True)
class Times:
    """One picture's way, in milliseconds; the studio's `seen` is an event at the client, the script's a file."""

    called: float
    seen: float
    delivered: float
    first_sign: float = 0.0


def run() -> list[Row]:
    """Return rows for the page, each against the bare script that calls the same service."""
    with tempfile.TemporaryDirectory() as name, Service(latency=LATENCY, photo=True) as service:
        folder = Path(name)
        environment = {
            "STUDIO_ADMIN_EMAIL": EMAIL,
            "STUDIO_ADMIN_PASSWORD": PASSWORD,
            "OPENAI_API_KEY": service.key,
            "OPENAI_BASE_URL": service.base_url,
        }
        bare = BareScript(service.base_url, service.key, folder)
        with Studio(folder, **environment) as studio:
            visitor = Visitor(studio, EMAIL, PASSWORD)
            # Turn by turn, so that whatever else this machine does meets both alike.
            pairs = [(_by_studio(visitor, service), _by_script(bare, service)) for _ in range(ROUNDS + WARM_UP)]
    return _rows([ours for ours, _ in pairs[WARM_UP:]], [theirs for _, theirs in pairs[WARM_UP:]])


def _by_studio(visitor: Visitor, service: Service) -> Times:
    fields = {"model": "openai:gpt-image-2", "prompt": str(WISH["prompt"]), "width": "1024", "height": "1024"}
    began_at, job_id = visitor.generate(**fields, variants="1")
    sign_at, seen_at = visitor.follow(job_id)
    call = service.last()
    return Times(
        called=1000 * (call["arrived_at"] - began_at),
        first_sign=1000 * (sign_at - began_at),
        delivered=1000 * (seen_at - call["answered_at"]),
        seen=1000 * (seen_at - began_at - LATENCY),
    )


def _by_script(bare: BareScript, service: Service) -> Times:
    drawn = bare.draw(WISH)
    call = service.last()
    return Times(
        called=1000 * (call["arrived_at"] - drawn.began_at),
        delivered=1000 * (drawn.written_at - call["answered_at"]),
        seen=1000 * (drawn.written_at - drawn.began_at - LATENCY),
    )


def _rows(ours: list[Times], theirs: list[Times]) -> list[Row]:
    called = Baseline("bare script: request at the provider", median([t.called for t in theirs]))
    written = Baseline("bare script: answer to file", median([t.delivered for t in theirs]))
    whole = Baseline("bare script, all but the provider", median([t.seen for t in theirs]))
    calls, signs = [t.called for t in ours], [t.first_sign for t in ours]
    deliveries, totals = [t.delivered for t in ours], [t.seen for t in ours]
    return [
        Row("click to provider called, median", median(calls), "ms", called),
        Row("click to provider called, p95", percentile(calls, 0.95), "ms", called, limit=30),
        Row("click to first progress event, median", median(signs), "ms", called),
        Row("click to first progress event, p95", percentile(signs, 0.95), "ms", called, limit=100),
        Row("answer to the picture's event, median", median(deliveries), "ms", written),
        Row("answer to the picture's event, p95", percentile(deliveries, 0.95), "ms", written, limit=120),
        Row("all that the studio adds, median", median(totals), "ms", whole, limit=200),
    ]
