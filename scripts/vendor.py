"""Fetch the pinned browser libraries from npm into static/vendor and write down what they are.

Run by `make vendor`; nothing here runs when the studio does. The icon sprite holds only the icons that the
templates ask for, so run it again after using a new one.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
TEMPLATES = ROOT / "templates"
SPRITE = "icons.svg"
ICON_USE = re.compile(r"""\bicon(?:_name)?(?:\(|=)\s*["']([a-z0-9-]+)["']""")
ICON_BODY = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package at one version; `files` maps what is kept (its path inside) to the name it gets."""

    name: str
    version: str
    licence_file: str
    files: dict[str, str]


HTMX = Package("htmx.org", "4.0.1", "LICENSE", {"dist/htmx.min.js": "htmx.min.js"})
INTER = Package(
    "@fontsource-variable/inter",
    "5.3.0",
    "LICENSE",
    {
        "files/inter-latin-wght-normal.woff2": "inter-latin.woff2",
        "files/inter-latin-ext-wght-normal.woff2": "inter-latin-ext.woff2",
    },
)
LUCIDE = Package("lucide-static", "1.62.0", "LICENSE", {})
PACKAGES = (HTMX, INTER, LUCIDE)


def main() -> int:
    """Fetch everything, write the sprite and VENDORED.md; return the exit code."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, Package, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            contents = unpack(package, Path(folder))
            licence = json.loads((contents / "package.json").read_text("utf-8"))["license"]
            for name, data in kept_files(package, contents):
                (VENDOR / name).write_bytes(data)
                rows.append((name, package, licence))
    (VENDOR / "VENDORED.md").write_text(table(rows), "utf-8")
    sys.stdout.write(f"{len(rows)} files in {VENDOR.relative_to(ROOT)}\n")
    return 0


def unpack(package: Package, folder: Path) -> Path:
    """Download `package` with npm, which checks it against the registry's hash; return its folder."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{package.name}@{package.version}"],
        check=True,
        capture_output=True,
        text=True,
    )
    target = folder / package.name.replace("/", "-")
    with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
        archive.extractall(target, filter="data")
    return target / "package"


def kept_files(package: Package, contents: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, content) for everything kept of `package`, its licence last."""
    for source, name in package.files.items():
        yield name, (contents / source).read_bytes()
    if package is LUCIDE:
        yield SPRITE, sprite(contents / "icons", icons_in_use()).encode()
    yield f"LICENSE-{package.name.rpartition('/')[2]}.txt", (contents / package.licence_file).read_bytes()


def icons_in_use() -> list[str]:
    """Return the names of the icons that the templates ask for, sorted."""
    names: set[str] = set()
    for template in TEMPLATES.rglob("*.html"):
        names.update(ICON_USE.findall(template.read_text("utf-8")))
    return sorted(names)


def sprite(icons: Path, names: list[str]) -> str:
    """Return one SVG with a symbol for each icon; how it is drawn is left to the style sheet."""
    symbols = []
    for name in names:
        match = ICON_BODY.search((icons / f"{name}.svg").read_text("utf-8"))
        if match is None:
            raise ValueError(f"The icon {name} is not one drawing.")
        body = re.sub(r"\s*\n\s*", "", match.group(1)).replace(" />", "/>")
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{body}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def table(rows: list[tuple[str, Package, str]]) -> str:
    """Return VENDORED.md: one line a file, with the hash of what is really there."""
    lines = [
        "# Vendored files",
        "",
        "Written by `make vendor` (scripts/vendor.py) from npm; do not edit by hand.",
        "",
        "| file | package | version | licence | sha256 |",
        "|---|---|---|---|---|",
    ]
    for name, package, licence in rows:
        digest = hashlib.sha256((VENDOR / name).read_bytes()).hexdigest()
        lines.append(f"| {name} | {package.name} | {package.version} | {licence} | `{digest}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
