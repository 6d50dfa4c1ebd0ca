"""What is asked of the database is read: a result that nobody reads keeps its cursor open for an unknown time.

SQLite then goes on reading after the commit, and whoever gets the connection next may not begin to write.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from imagegen.settings import PROJECT_ROOT

MODULES = sorted((PROJECT_ROOT / "imagegen").rglob("*.py"))


def unread(source: str) -> Iterator[str]:
    """Yield the statements in `source` that select something and drop the result."""
    tree = ast.parse(source)
    selects = {
        target.id
        for statement in tree.body
        if isinstance(statement, ast.Assign) and is_select(statement.value, set())
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call) and call.args:
            executes = isinstance(call.func, ast.Attribute) and call.func.attr in ("execute", "scalars")
            if executes and is_select(call.args[0], selects):
                yield ast.unparse(node)


def is_select(node: ast.expr, selects: set[str]) -> bool:
    """Tell whether `node` is `select(...)` with whatever follows, or a name for one."""
    while isinstance(node, ast.Call | ast.Attribute):
        inner = node.func if isinstance(node, ast.Call) else node.value
        if isinstance(node, ast.Call) and isinstance(inner, ast.Name):
            return inner.id == "select"
        node = inner
    return isinstance(node, ast.Name) and node.id in selects


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("uow.execute(select(A.id).where(A.id == 1).with_for_update())", 1),
        ("LOCK = select(A.id)\ndef f():\n    uow.execute(LOCK, {'a': 1})", 1),
        ("LOCK = select(A.id)\ndef f():\n    return uow.scalar(LOCK)", 0),
        ("uow.scalar(select(A.id))", 0),
        ("rows = uow.execute(select(A.id)).all()", 0),
        ("uow.execute(update(A).where(A.id.in_(select(B.id))))", 0),
    ],
)
def test_a_result_that_nobody_reads_is_found(source: str, found: int) -> None:
    assert len(list(unread(source))) == found


def test_every_result_is_read() -> None:
    left = [f"{path.relative_to(PROJECT_ROOT)}: {what}" for path in MODULES for what in unread(path.read_text())]
    assert left == []
