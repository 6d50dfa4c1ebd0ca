"""Commands that fill the studio with something to look at: `flask --app wsgi seed`."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from imagegen.core.errors import StudioError
from imagegen.extensions import runtime
from imagegen.models import system_scope
from imagegen.services import setup
from imagegen.services.library import seeding

seed = AppGroup("seed", help="Something to look at.")


@seed.command("library")
@click.option("--images", type=click.IntRange(1, 10_000_000), required=True, help="How many there are afterwards.")
def seed_library(images: int) -> None:
    """Fill the first organisation's library up to a number of pictures. Nobody else can write meanwhile."""
    try:
        setup.from_settings()
        with system_scope(), runtime.pool:
            place = seeding.first_organisation()
            drawings = seeding.draw(place, max(images - place.had, 0))
            with click.progressbar(length=max(images - place.had, 0), label="Pictures") as bar:
                done = 0

                def show(at: int) -> None:
                    nonlocal done
                    bar.update(at - done)
                    done = at

                added = seeding.fill(place=place, images=images, drawings=drawings, progress=show)
    except StudioError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"Added {added:,} pictures; there are {max(images, place.had):,} now.")
