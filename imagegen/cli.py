"""Commands: `flask --app wsgi NAME`."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta

import click
from flask import Flask
from flask.cli import AppGroup

from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.core.money import display, read_usd
from imagegen.extensions import runtime
from imagegen.maintenance_commands import check as check
from imagegen.maintenance_commands import clean as clean
from imagegen.maintenance_commands import keys as keys
from imagegen.maintenance_commands import maintenance
from imagegen.models import organisation_scope, system_scope
from imagegen.models.budgets import Per
from imagegen.seed_commands import seed
from imagegen.services import accounts, budgets, organisations, passwords, people, setup
from imagegen.services.audit import COMMAND_LINE
from imagegen.web import links

users = AppGroup("users", help="People.")
tokens = AppGroup("tokens", help="Personal tokens for the API.")
spending = AppGroup("budgets", help="What may be spent.")

_LIFETIME = re.compile(r"(\d{1,5})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def register(app: Flask) -> None:
    """Add the studio's commands to `app`."""
    for command in (config, users, tokens, spending, maintenance, seed):
        app.cli.add_command(command)


@click.command("config")
def config() -> None:
    """Print every setting with the value in force and where it came from."""
    rows = runtime.settings.in_force()
    widths = [max(len(cells) for cells in column) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


@users.command("create")
@click.option("--email", required=True)
@click.option("--organisation", required=True, help="Name or id; made if there is none of that name.")
@click.option("--role", required=True, help="owner, admin, editor, approver or viewer.")
@click.option("--name", default="", help="What to call the person.")
def create_user(email: str, organisation: str, role: str, name: str) -> None:
    """Make a person; the password is read from standard input."""
    try:
        setup.from_settings()
        person = accounts.create_user(
            email=email,
            password=_password(),
            organisation=organisation,
            role=role,
            name=name,
            operator=not accounts.anybody_here(),
        )
        setup.close()
    except StudioError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"Made {person.email} {person.public_id}")


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise click.ClickException("The password on standard input is not text in UTF-8.") from None


@users.command("disable")
@click.option("--email", required=True, help="Whose account.")
@click.option("--enable", is_flag=True, help="Switch it on again instead.")
def disable_user(email: str, enable: bool) -> None:
    """Switch an account off: its sessions end, and neither password nor tokens open anything."""
    try:
        person = people.set_enabled(by=COMMAND_LINE, email=email, enabled=enable)
    except StudioError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"Switched {'on' if enable else 'off'}: {person.email}")


@users.command("operator")
@click.option("--email", required=True, help="Who looks after the installation.")
@click.option("--end", is_flag=True, help="End it instead.")
def set_operator(email: str, end: bool) -> None:
    """Make somebody an operator."""
    try:
        people.set_operator(by=COMMAND_LINE, email=email, operator=not end)
    except StudioError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"{'No operator any more' if end else 'Operator'}: {email}")


@users.command("reset-link")
@click.option("--email", required=True, help="Whose password.")
def reset_link(email: str) -> None:
    """Print a link to a new password as the last word; it works once, and for an hour."""
    try:
        person = accounts.find_user(email=email)
        secret = passwords.make_reset(by=COMMAND_LINE, user_id=person.id)
    except StudioError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"For {person.email}: {links.of_command_line('accounts.choose_password', secret=secret)}")


@tokens.command("create")
@click.option("--email", required=True, help="Whose token.")
@click.option("--name", required=True, help="What the token is for.")
@click.option("--organisation", help="Name or id; the person's first one without it.")
@click.option("--scope", default="read,write", show_default=True, help="read, write, admin; commas between.")
@click.option("--expires", help="A day (2027-01-31) or a time from now (90d, 12h, 30m); one year without it.")
def create_token(email: str, name: str, organisation: str | None, scope: str, expires: str | None) -> None:
    """Make a token and print it as the last word; it is shown this once."""
    try:
        setup.from_settings()
        person = accounts.find_user(email=email)
        fresh = accounts.create_token(
            user_id=person.id,
            organisation_id=accounts.organisation_for(user_id=person.id, named=organisation).id,
            name=name,
            scopes=tuple(part.strip() for part in scope.split(",") if part.strip()),
            expires_at=_expiry(expires),
        )
    except StudioError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"Token until {fresh.expires_at:%Y-%m-%d}: {fresh.secret}")


@spending.command("set")
@click.option("--per", type=click.Choice([per.value for per in Per]), required=True)
@click.option("--usd", required=True, help="How much, such as 20 or 0.50.")
@click.option("--soft", is_flag=True, help="Warn only; without it nothing is begun that does not fit.")
@click.option("--organisation", help="Name or id; the only one without it.")
@click.option("--email", help="For this person alone.")
def set_budget(per: str, usd: str, soft: bool, organisation: str | None, email: str | None) -> None:
    """Set what an organisation, or a person in it, may spend in a month or a day."""
    cap = read_usd(usd)
    if cap is None:
        raise click.BadParameter("write dollars like 20 or 0.50", param_hint="--usd")
    try:
        setup.from_settings()
        person = accounts.find_user(email=email) if email else None
        place = (
            accounts.organisation_for(user_id=person.id, named=organisation)
            if person
            else organisations.named(organisation)
        )
        with organisation_scope(place.id):
            budgets.set_budget(
                by=COMMAND_LINE.within(place.id),
                organisation_id=place.id,
                user_id=person.id if person else None,
                per=Per(per),
                cap=cap,
                hard=not soft,
            )
    except StudioError as error:
        raise click.ClickException(error.message) from None
    whose = person.email if person else place.name
    click.echo(f"{whose} may spend {display(cap)} a {per}, {'with a warning' if soft else 'and not more'}.")


@spending.command("list")
def list_budgets() -> None:
    """Print every budget: whose, how much, and how far it is used."""
    with system_scope():
        for place, standing in budgets.everywhere():
            budget = standing.budget
            click.echo(
                f"{place.name}  {budget.user.email if budget.user else 'everybody'}  "
                f"{display(standing.used)} of {display(standing.cap)} this {budget.per}  "
                f"{'hard' if budget.hard else 'soft'}  until {standing.ends_at:%Y-%m-%d %H:%M} UTC"
            )


def _expiry(text: str | None) -> datetime | None:
    if text is None:
        return None
    if found := _LIFETIME.fullmatch(text):
        return now() + timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("use a day like 2027-01-31 or a time like 90d", param_hint="--expires") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
