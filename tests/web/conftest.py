"""Fixtures of these tests."""

from tests.web.fixtures import app, ben, compiled_templates, eve, numbers, server

__all__ = ["app", "ben", "compiled_templates", "eve", "numbers", "server"]
