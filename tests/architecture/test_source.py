"""The house's rules, where a linter does not hold them already."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from imagegen.settings import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "imagegen"
LONGEST = 400
NO_NAMES = {"utils", "helpers", "common", "manager", "misc", "queue", "types"}
SENTENCES = {"StudioError", "NotFound", "Forbidden", "Conflict", "TooMany", "SignInNeeded", "ProviderError"}
LAZY = {"imagegen/providers/registry.py", "imagegen/cli.py"}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of ours, by its path."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {str(path.relative_to(PROJECT_ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def walk(kind: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for name, module in modules().items():
        yield from ((f"{name}:{node.lineno}", node) for node in ast.walk(module) if isinstance(node, kind))


def test_who_may_import_whom_is_held() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_our_own_modules_are_imported_at_the_top() -> None:
    late = [
        where
        for where, function in walk(ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("imagegen")
        if where.partition(":")[0] not in LAZY
    ]
    assert not late


def test_no_file_is_too_long_and_none_has_a_name_that_says_nothing() -> None:
    lengths = {name: len((PROJECT_ROOT / name).read_text(encoding="utf-8").splitlines()) for name in modules()}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}
    assert not [name for name in modules() if Path(name).stem in NO_NAMES]


def test_sentences_for_people_are_marked_for_translation() -> None:
    """`NotFound("…")` would be English for ever; `NotFound(N_("…"))` is found and translated."""
    unmarked = [
        where
        for where, node in walk(ast.Call)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in SENTENCES
        and node.args
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert not unmarked


def test_only_a_unit_of_work_writes() -> None:
    """`db.session` reads; its connections refuse to write, and nothing should find out that way."""
    writing = {"add", "add_all", "delete", "commit", "flush", "merge", "begin"}
    found = [
        where
        for where, node in walk(ast.Attribute)
        if isinstance(node, ast.Attribute) and node.attr in writing and ast.unparse(node.value) == "db.session"
    ]
    assert not found


def test_no_table_says_the_same_thing_twice() -> None:
    """Of two lines with one key the first is nobody's any more; ruff sees that of plain text alone."""
    twice = []
    for where, table in walk(ast.Dict):
        assert isinstance(table, ast.Dict)
        keys = [ast.unparse(key) for key in table.keys if key is not None]
        twice += [f"{where} {key}" for key in set(keys) if keys.count(key) > 1]
    assert not twice


def test_nothing_of_redis_is_ever_unpickled() -> None:
    assert not [
        where
        for where, node in walk(ast.Import)
        if isinstance(node, ast.Import) and {"pickle", "marshal", "shelve"} & {alias.name for alias in node.names}
    ]


def test_what_others_use_says_what_it_does() -> None:
    """Public functions and classes of modules have docstrings."""
    silent = [
        f"{name}:{node.lineno} {node.name}"
        for name, module in modules().items()
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if ast.get_docstring(node) is None
    ]
    assert not silent
