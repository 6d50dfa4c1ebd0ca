"""`flask --app wsgi maintenance rotate-keys`: seal providers' keys anew, so that an old encryption key can go."""

from __future__ import annotations

import click

from imagegen.maintenance_commands import maintenance
from imagegen.services import provider_keys


@maintenance.command("rotate-keys")
def rotate_keys() -> None:
    """Seal the organisations' provider keys with the first of ENCRYPTION_KEYS; exit with 1 if one does not open.

    Put the new key in front of the old one, restart the studio, run this, and take the old one away.
    """
    done = provider_keys.rotate()
    click.echo(f"Sealed anew: {done.sealed}")
    if done.lost:
        raise click.ClickException(
            f"{done.lost} cannot be opened with any of ENCRYPTION_KEYS; their organisations have to enter them again."
        )
