"""Commands: `flask --app wsgi NAME`."""

from __future__ import annotations

import click
from flask import Flask

from imagegen.extensions import runtime


def register(app: Flask) -> None:
    """Add the studio's commands to `app`."""
    app.cli.add_command(config)


@click.command("config")
def config() -> None:
    """Print every setting with the value in force and where it came from."""
    rows = runtime.settings.in_force()
    widths = [max(len(cells) for cells in column) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
