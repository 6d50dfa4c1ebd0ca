"""Budgets from the command line."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from imagegen.core.money import read_usd
from imagegen.extensions import db
from imagegen.models import system_scope
from imagegen.models.budgets import Budget
from tests.models.rows import Member, add_member


@pytest.fixture
def command(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


def rows() -> list[tuple[str, int, bool, int | None]]:
    db.session.rollback()
    with system_scope():
        found = db.session.scalars(select(Budget).order_by(Budget.id))
        return [(row.per, row.cap_micro, row.hard, row.user_id) for row in found]


def test_a_budget_is_hard_unless_it_is_said_to_be_soft(command: FlaskCliRunner, amy: Member) -> None:
    result = command.invoke(args=["budgets", "set", "--per", "month", "--usd", "20"])
    assert result.exit_code == 0, result.output
    command.invoke(args=["budgets", "set", "--per", "day", "--usd", "0.5", "--soft", "--email", "amy@one.example"])

    assert rows() == [("month", 20_000_000, True, None), ("day", 500_000, False, amy.user_id)]


def test_setting_it_again_changes_it(command: FlaskCliRunner, amy: Member) -> None:
    command.invoke(args=["budgets", "set", "--per", "month", "--usd", "20"])
    command.invoke(args=["budgets", "set", "--per", "month", "--usd", "30", "--soft"])

    assert rows() == [("month", 30_000_000, False, None)]


def test_which_organisation_has_to_be_said_where_there_are_several(command: FlaskCliRunner, amy: Member) -> None:
    add_member("bob", "Two")
    unsaid = command.invoke(args=["budgets", "set", "--per", "month", "--usd", "20"])
    assert unsaid.exit_code == 1
    assert "Say which organisation is meant" in unsaid.output

    assert (
        command.invoke(args=["budgets", "set", "--per", "month", "--usd", "20", "--organisation", "Two"]).exit_code
        == 0
    )
    assert (
        command.invoke(args=["budgets", "set", "--per", "month", "--usd", "20", "--organisation", "Three"]).exit_code
        == 1
    )


@pytest.mark.parametrize("usd", ["", "-1", "1,50", "NaN", "1e3", "0.0000001", "٣"])
def test_only_amounts_of_dollars_are_taken(command: FlaskCliRunner, amy: Member, usd: str) -> None:
    assert read_usd(usd) is None
    assert command.invoke(args=["budgets", "set", "--per", "month", "--usd", usd]).exit_code == 2
    assert rows() == []


def test_the_list_says_whose_how_much_and_until_when(command: FlaskCliRunner, amy: Member) -> None:
    command.invoke(args=["budgets", "set", "--per", "month", "--usd", "20"])
    line = command.invoke(args=["budgets", "list"]).output

    assert line.startswith("One  everybody  $0.00 of $20.00 this month  hard  until ")
