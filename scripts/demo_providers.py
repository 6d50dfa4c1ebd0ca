"""Run the stand-ins for providers that the tests use, to try the studio by hand: nothing is billed.

Run by `make demo-providers`; the lines that it prints go into `.env`. `ARGS="--port 9200 --latency 20"` chooses.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys

from imagegen.core.money import display
from tests.fakes.downloads import DOWNLOADS
from tests.fakes.openai_faults import FAULTS
from tests.fakes.openai_server import OpenAIServer

KEY = "sk-demo-of-the-studio"  # a wrong one is refused, as by the real service
USUAL_LATENCY = 4.0

ORDERS: tuple[tuple[str, dict[str, object]], ...] = (
    ("Each picture takes 20 seconds.", {"latency": 20}),
    (
        "The next two requests fail, the second after 3 seconds.",
        {"faults": ["429", {"kind": "500", "latency": 3}]},
    ),
    ("Every request fails from now on ...", {"always": "401"}),
    ("... and no longer.", {"always": None}),
    (
        "Answers tell where the pictures lie; the next two downloads go wrong.",
        {"addresses": True, "downloads": ["403", {"kind": "drip", "seconds": 0.1}]},
    ),
    ("Pictures as hard to pack as photos.", {"photo": True}),
    ("All as in the beginning, and everything forgotten.", {"reset": True, "latency": USUAL_LATENCY}),
)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--latency", type=float, default=USUAL_LATENCY, help="seconds that each picture takes")
    arguments = parser.parse_args()
    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before any thread starts, so that only the wait below hears them.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server = OpenAIServer(arguments.port, KEY)
    except OSError as error:
        sys.exit(f"Port {arguments.port} cannot be used: {error.strerror}. Choose another with ARGS='--port 9200'.")
    with server:
        server.script(latency=arguments.latency)
        sys.stdout.write(_how_to_use(server))
        sys.stdout.flush()
        signal.sigwait(signals)
    sys.stdout.write(f"\n{len(server.requests)} requests; a real service would have billed {display(server.bill)}.\n")


def _how_to_use(server: OpenAIServer) -> str:
    control = server.base_url.removesuffix("/v1") + "/_control"
    lines = [
        "A stand-in for OpenAI is running; Ctrl-C ends it. It draws for nothing. These lines go into .env:",
        "",
        f"OPENAI_BASE_URL={server.base_url}",
        f"OPENAI_API_KEY={server.key}",
        "",
        "Then `make run`. In another terminal it is told how to behave:",
        "",
    ]
    for meaning, order in ORDERS:
        lines += [f"# {meaning}", f"curl -d '{json.dumps(order)}' {control}"]
    lines += [
        "# What has happened so far.",
        f"curl {control}",
        "",
        f"Faults: {', '.join(FAULTS)}.",
        f"Downloads: {', '.join(DOWNLOADS)}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
