"""Whether the database needs a migration, told without importing the app (which takes a second)."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

# As Alembic's template writes them.
_REVISION = re.compile(r"^revision(?:: *str)? *= *['\"](\w+)['\"]", re.MULTILINE)
_PARENTS = re.compile(r"^down_revision\b[^=]*= *(.+)$", re.MULTILINE)


def heads(versions: Path) -> set[str]:
    """Return the newest revisions among the migrations in `versions`."""
    revisions: set[str] = set()
    parents: set[str] = set()
    for file in versions.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        revisions.update(_REVISION.findall(text))
        for line in _PARENTS.findall(text):
            parents.update(re.findall(r"['\"](\w+)['\"]", line))
    return revisions - parents


def is_current(database_url: str, versions: Path) -> bool:
    """Tell whether the database is known to be at the newest migration; only an SQLite file is looked into."""
    scheme, _, file = database_url.partition(":///")
    if scheme != "sqlite" or not Path(file).is_file():
        return False
    try:
        with closing(sqlite3.connect(f"file:{quote(file)}?mode=ro", uri=True)) as connection:
            found = {revision for (revision,) in connection.execute("SELECT version_num FROM alembic_version")}
    except sqlite3.Error:
        return False
    return bool(found) and found == heads(versions)
