"""Icons of pages: a page has forty, the same wherever they stand, so each is drawn once."""

from __future__ import annotations

from flask import Flask
from markupsafe import Markup

from imagegen.web.addresses import address


def init_app(app: Flask) -> None:
    """Let templates write `icon(name)`, or `icon(name, "s")` for a small one."""
    drawn: dict[tuple[str, str, str], Markup] = {}

    def icon(name: str, size: str = "") -> Markup:
        sheet = address("static", filename="vendor/icons.svg")
        found = drawn.get((sheet, name, size))
        if found is None:
            draw = app.jinja_env.get_template("shared/_icon.html").module.icon  # type: ignore[attr-defined]
            found = drawn[sheet, name, size] = draw(sheet, name, size)
        return found

    app.jinja_env.globals["icon"] = icon
