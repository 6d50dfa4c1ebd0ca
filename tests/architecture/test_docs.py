"""What the documents promise is there: commands, addresses, measurements, files."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from flask import Flask

from imagegen.settings import PROJECT_ROOT

DOCUMENTS = [PROJECT_ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")]
DOCUMENTS += sorted((PROJECT_ROOT / "docs").rglob("*.md"))
FLASK = re.compile(r"flask --app wsgi ((?:[a-z][a-z-]*(?: |\b))+)")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", read(path))
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_command_that_is_named_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read(PROJECT_ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", read(path))) <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_flask_command_that_is_named_exists(app: Flask, path: Path) -> None:
    for words in FLASK.findall(read(path)):
        command: click.Command | None = app.cli
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            command = command.get_command(click.Context(command), word)
            assert command is not None, words


def test_the_api_s_document_names_every_address(app: Flask) -> None:
    text = read(PROJECT_ROOT / "docs" / "api.md")
    rules = [rule.rule.removeprefix("/api/v1") for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    paths = {re.sub(r"<[^>]+>", "{id}", rule) for rule in rules} - {"/docs", "/openapi.json"}
    told = re.sub(r"\{\w+\}", "{id}", text)
    assert [path for path in sorted(paths) if not re.search(named(path), told)] == []


def named(path: str) -> str:
    """Return the pattern of a path as the document may write it: whole, or as `…` and what follows the id."""
    tail = path.rpartition("{id}")[2]
    ways = [re.escape(path)] + ([f"…{re.escape(tail)}"] if tail and tail != path else [])
    return f"(?:{'|'.join(ways)})(?=[`?, |])"


def test_every_measurement_is_described() -> None:
    modules = {path.stem for path in (PROJECT_ROOT / "bench").glob("*.py") if "\ndef run()" in read(path)}
    assert modules == set(re.findall(r"^\| `(\w+)` \|", read(PROJECT_ROOT / "docs" / "testing.md"), re.MULTILINE))
