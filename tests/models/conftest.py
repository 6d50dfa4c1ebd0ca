"""Fixtures for tests of tables: two organisations with a job each."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from flask import Flask

from imagegen.models import Job
from tests.models.rows import Member, add_member, submit


@dataclass(frozen=True)
class Place:
    """An organisation: its member and its job."""

    member: Member
    job: Job

    @property
    def id(self) -> int:
        """The organisation's id."""
        return self.member.organisation_id


@pytest.fixture
def one(app: Flask) -> Place:
    """The organisation One, with a job of two pictures."""
    member = add_member("ann", "One")
    return Place(member, submit(member, n=2))


@pytest.fixture
def two(app: Flask) -> Place:
    """The organisation Two, with a job of three pictures."""
    member = add_member("bob", "Two")
    return Place(member, submit(member, n=3))
