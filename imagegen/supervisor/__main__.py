"""`python -m imagegen.supervisor`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import sys

from setproctitle import setproctitle

from imagegen.settings import Settings, SettingsError
from imagegen.supervisor import linux
from imagegen.supervisor.errors import StartError
from imagegen.supervisor.studio import run


def main() -> int:
    """Start the studio and return the exit code; 1, after one sentence, when it cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m imagegen.supervisor", description=__doc__)
    parser.add_argument(
        "--end-with-parent", action="store_true", help="stop when the parent process dies (Linux only)"
    )
    if parser.parse_args().end_with_parent:
        linux.end_with_parent(os.getppid())
    setproctitle("imagegen-supervisor")
    try:
        return run(Settings.load())
    except (SettingsError, StartError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is the terminal program's voice
        return 1


if __name__ == "__main__":
    sys.exit(main())
