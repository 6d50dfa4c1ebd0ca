"""Fixtures of these tests."""

from tests.web.fixtures import app, ben, eve, numbers, server

__all__ = ["app", "ben", "eve", "numbers", "server"]
