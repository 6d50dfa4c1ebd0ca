"""Runs a module of the studio under a clock that is wrong: `python -m tests.faults.out_of_time SECONDS MODULE`.

Python's own clocks are moved; the database's, by which leases run, is not, for it belongs to another machine.
"""

from __future__ import annotations

import runpy
import sys
from datetime import UTC, datetime, timedelta

import time_machine


def main() -> None:
    """Run the module as `python -m` would."""
    _, seconds, module = sys.argv
    sys.argv = [module]
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=float(seconds)), tick=True):
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
