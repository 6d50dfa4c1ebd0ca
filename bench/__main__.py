"""`python -m bench [name ...]`: run the measurements, all or those named, and print one table.

A measurement is a module of this package with a function `run() -> list[Row]`. The exit code is 1 if a value is
over its limit.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from collections.abc import Callable

import bench
from bench.table import Row, lines


def measurements() -> dict[str, Callable[[], list[Row]]]:
    """Return what can be measured, by the module's name."""
    names = [module.name for module in pkgutil.iter_modules(bench.__path__) if module.name != "__main__"]
    modules = {name: importlib.import_module(f"bench.{name}") for name in names}
    return {name: module.run for name, module in modules.items() if hasattr(module, "run")}


def main() -> int:
    """Measure, print, and return the exit code."""
    known = measurements()
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the studio against baselines.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"which: {', '.join(known)}; all without one")
    names = parser.parse_args().names or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"there is no measurement called {', '.join(unknown)}; there are: {', '.join(known)}")
    rows: list[Row] = []
    for name in names:
        began = time.monotonic()
        rows += known[name]()
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print("\n".join(lines(rows)))
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
