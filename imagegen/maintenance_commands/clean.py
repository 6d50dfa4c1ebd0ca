"""`flask --app wsgi maintenance clean`: clean up here and now, or see what there is to clean."""

from __future__ import annotations

import click

from imagegen.core.errors import StudioError
from imagegen.maintenance_commands import maintenance
from imagegen.services.cleaning import reports
from imagegen.services.cleaning.duties import DUTIES
from imagegen.services.cleaning.reports import Result


@maintenance.command("clean")
@click.option("--dry-run", is_flag=True, help="Only list; change nothing.")
@click.option("--only", type=click.Choice(list(DUTIES)), help="This duty alone.")
def clean(dry_run: bool, only: str | None) -> None:
    """Remove what nobody needs: temporary files, what is expired, old trash, files without a picture."""
    try:
        report = reports.clean_now(dry_run=dry_run, only=only)
    except StudioError as error:
        raise click.ClickException(error.message) from None
    results = reports.results_of(report)
    for result in results:
        _print(result, dry_run=dry_run)
    if any(result.error for result in results):
        raise click.ClickException("Not everything could be looked at; the log tells why.")


def _print(result: Result, *, dry_run: bool) -> None:
    told = f"{result.found} found" if dry_run else f"{result.removed} of {result.found} removed"
    more = [f"{result.bytes} bytes"] if result.bytes else []
    more += [f"{result.kept} kept"] if result.kept else []
    more += ["failed"] if result.error else []
    click.echo(f"{DUTIES[result.name].title}: {', '.join([told, *more])}")
    for example in result.examples:
        click.echo(f"  {example}")
