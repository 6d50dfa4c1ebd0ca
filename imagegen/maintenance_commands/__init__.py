"""Commands that keep the house: `flask --app wsgi maintenance NAME`. One file each; `cli` imports them all."""

from __future__ import annotations

from flask.cli import AppGroup

maintenance = AppGroup("maintenance", help="Keep the house: look for what does not fit, and clean up.")
