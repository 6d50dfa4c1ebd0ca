"""Time on this machine; leases and slots use the database's clock instead (models.clock)."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment in UTC, aware."""
    return datetime.now(UTC)
