"""Bringing pictures: one file per request."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, url_for
from pydantic import BaseModel, Field

from imagegen.api.v1 import rows
from imagegen.api.v1.openapi import Answers, Schema, Tags, operation
from imagegen.api.v1.schemas import Image
from imagegen.services import library, uploads
from imagegen.web import access, incoming
from imagegen.web.auth import identity

blueprint = Blueprint("api-uploads", __name__)

_LOCATION = {"Location": "Path of the picture."}


class UploadForm(BaseModel):
    """A picture to be put into the library."""

    file: str = Field(
        description="One file: JPEG, PNG, GIF, WebP, AVIF or HEIC, of 10 MiB at most. What it is is told by its "
        "bytes, not by its name.",
        json_schema_extra={"contentMediaType": "application/octet-stream"},
    )


class AnswersToUpload(Answers):
    """The picture, new or not."""

    def generate_spec(self, naming_strategy: Any = None) -> Schema:
        """Return the operation's `responses`: a picture that the library had already is told by 200."""
        found = super().generate_spec(naming_strategy)
        return {"200": found["201"] | {"description": "The same picture, which the library had already."}} | found


@blueprint.post("/images/upload")
@access.creating
@incoming.takes_file
@operation(
    Tags.IMAGES,
    "uploadImage",
    AnswersToUpload(Image, "The picture.", status=201, headers=_LOCATION, problems=(400, 413, 415, 422, 429, 503)),
    form=UploadForm,
)
def upload() -> tuple[Image, int, dict[str, str]]:
    """Put a picture into the library.

    At least 400 x 400 pixels, at most 40 million and 16,384 on a side; of an animation the first frame is taken. The
    pixels stay as they are, compressed as they came; what the file says about them (place, time, camera, comments)
    does not, but for how the picture is turned and its colour profile. The same picture is kept once: bringing it
    again answers 200 with the earlier one, and takes that out of the trash if it lay there.
    """
    who, file = identity(), incoming.the_file()
    taken = uploads.take(organisation_id=who.organisation.id, user_id=who.user.id, path=file.path, name=file.name)
    image = rows.images([library.get_image(taken.image.public_id)])[0]
    return image, 200 if taken.earlier else 201, {"Location": url_for("api-images.read", image_id=image.id)}
