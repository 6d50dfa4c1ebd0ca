"""The scheduler: looks every few seconds for what got lost. Any number of them may run."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

import setproctitle
import structlog
from sqlalchemy.exc import SQLAlchemyError

from imagegen.app import create_app
from imagegen.engine.sweep import sweep
from imagegen.extensions import db
from imagegen.settings import Settings, SettingsError

log = structlog.get_logger(__name__)


def main() -> int:
    """Sweep until told to stop."""
    setproctitle.setproctitle("imagegen-scheduler")
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        settings = Settings.load()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    app = create_app(settings)
    with app.app_context():
        while True:
            try:
                sweep()
            except SQLAlchemyError:
                log.exception("sweep.failed")
            finally:
                db.session.remove()
            if stopping.wait(settings.sweep_seconds):
                return 0


if __name__ == "__main__":
    raise SystemExit(main())
