"""Taking pictures along: one in a format and a size, or many as a ZIP."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from imagegen.blueprints.library import forms
from imagegen.blueprints.library.blueprint import blueprint
from imagegen.services import library
from imagegen.web import access, downloads


@blueprint.get("/<image_id>/download")
@access.viewing
def download(image_id: str) -> ResponseReturnValue:
    """Send a picture as `format`, at most `width` wide; as it is kept where the address says neither."""
    image = library.get_image(image_id)
    wanted = downloads.Wanted.read(request.args.get("format", ""), request.args.get("width", ""))
    return downloads.send(image, wanted)


@blueprint.post("/download")
@access.viewing
def download_all() -> ResponseReturnValue:
    """Send the pictures that the form is about as one ZIP, while it is being made."""
    return downloads.send_zip(library.files_of(forms.selection(request.form).ids()))
