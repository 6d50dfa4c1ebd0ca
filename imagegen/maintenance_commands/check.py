"""`maintenance check`: whether everything holds that must hold."""

from __future__ import annotations

from collections import defaultdict

import click

from imagegen.engine.invariants import INVARIANTS, Broken, check
from imagegen.maintenance_commands import maintenance


@maintenance.command("check")
@click.option("--quick", is_flag=True, help="Do not read the stored files to compare their bytes.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([each.id for each in INVARIANTS]),
    help="This invariant alone; may be given several times.",
)
def check_invariants(quick: bool, only: tuple[str, ...]) -> None:
    """Check budgets, books, states, leases, events and files; exit with 1 if something does not hold.

    Changes nothing, and may run while the studio works.
    """
    found: dict[str, list[Broken]] = defaultdict(list)
    for broken in check(only=only, hash_files=not quick, progress=_tell):
        found[broken.invariant].append(broken)
    for invariant in INVARIANTS:
        if only and invariant.id not in only:
            continue
        wrong = found[invariant.id]
        click.echo(f"{'BROKEN' if wrong else 'holds ':6}  {invariant.id:3}  {invariant.title}")
        for broken in wrong:
            click.echo(f"             {broken.where} {broken.sentence}")
    if found_any := sum(map(len, found.values())):
        raise click.ClickException(f"{found_any} {'thing does' if found_any == 1 else 'things do'} not hold.")


def _tell(what: str, done: int, total: int) -> None:
    click.echo(f"{what}: {done}{f' of {total}' if total else ''}", err=True)
