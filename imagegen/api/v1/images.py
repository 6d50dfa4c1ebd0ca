"""Images: list, read, and their files."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from imagegen.api.v1 import rows, schemas
from imagegen.api.v1.openapi import PATH, Answers, Tags, spec
from imagegen.api.v1.requests import FileQuery, ImagesQuery, ThumbnailQuery
from imagegen.api.v1.schemas import Image, ImageList
from imagegen.providers.specs import MIME_TYPES
from imagegen.services import library
from imagegen.web import access, files

blueprint = Blueprint("api-images", __name__)

_CACHED = {
    "ETag": "Names these bytes; send it as If-None-Match and get 304 while they are the same.",
    "Cache-Control": "The file never changes.",
}


@blueprint.get("/images")
@access.viewing
@spec.validate(
    resp=Answers(ImageList, "A page of pictures.", problems=(422,)), tags=[Tags.IMAGES], operation_id="listImages"
)
def index(query: ImagesQuery) -> ImageList:
    """List the organisation's pictures, newest first.

    Pages are found by key and not by number, so the last is as quick as the first and none is shown twice.
    """
    page = library.list_images(
        library.Wish(filter=query.filter), cursor=query.cursor, limit=query.limit, columns=rows.IMAGE_COLUMNS
    )
    found: dict[str, Any] = {"items": rows.images(page.items), "next_cursor": page.next_cursor}
    if query.count == "1":
        found["total"] = library.count_images(library.Wish(filter=query.filter), most=schemas.MOST_COUNTED)
    return ImageList(**found)


@blueprint.get("/images/<image_id>")
@access.viewing
@spec.validate(
    resp=Answers(Image, "The picture.", problems=(404,)),
    tags=[Tags.IMAGES],
    operation_id="readImage",
    path_parameter_descriptions=PATH,
)
def read(image_id: str) -> Image:
    """Read one picture."""
    return rows.images([library.get_image(image_id)])[0]


@blueprint.get("/images/<image_id>/file")
@access.viewing
@spec.validate(
    resp=Answers(None, "The file.", content_types=MIME_TYPES.values(), headers=_CACHED, problems=(404, 422)),
    tags=[Tags.IMAGES],
    operation_id="readImageFile",
    path_parameter_descriptions=PATH,
)
def file(image_id: str, query: FileQuery) -> ResponseReturnValue:
    """Read a picture's file.

    The pixels are those that the provider sent; the file says that they were made by AI.
    """
    return files.send_image(library.get_image(image_id), download=query.download == "1")


@blueprint.get("/images/<image_id>/thumbnail")
@access.viewing
@spec.validate(
    resp=Answers(None, "The preview.", content_types=("image/webp",), headers=_CACHED, problems=(404, 422)),
    tags=[Tags.IMAGES],
    operation_id="readImageThumbnail",
    path_parameter_descriptions=PATH,
)
def thumbnail(image_id: str, query: ThumbnailQuery) -> ResponseReturnValue:
    """Read a preview of a picture.

    Where none is as wide as asked for it is the widest there is.
    """
    return files.send_rendition(library.get_image(image_id), query.width)
