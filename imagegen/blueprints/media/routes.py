"""Pictures as files."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from imagegen.models import Image
from imagegen.services import library
from imagegen.web import access, files

blueprint = Blueprint("media", __name__, url_prefix="/media")


@blueprint.get("/<image_id>/file")
@access.viewing
def file(image_id: str) -> ResponseReturnValue:
    """Send the picture as it is kept; `download=1` to save it, `trashed=1` also from the trash."""
    return files.send_image(_image(image_id), download="download" in request.args)


@blueprint.get("/<image_id>/<int:width>.webp")
@access.viewing
def rendition(image_id: str, width: int) -> ResponseReturnValue:
    """Send a smaller WebP of it; `trashed=1` also from the trash."""
    return files.send_rendition(_image(image_id), width)


def _image(image_id: str) -> Image:
    return library.get_image(image_id, trashed="trashed" in request.args)
