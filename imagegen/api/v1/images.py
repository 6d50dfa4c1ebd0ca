"""Images: list, read, and their files."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from imagegen.api.v1 import rows, schemas
from imagegen.api.v1.library_schemas import DeleteQuery, ImagePatch, ImagesQuery, ImageUse, ImageUses
from imagegen.api.v1.openapi import BODY, Answers, NoContent, Tags, operation
from imagegen.api.v1.requests import FileQuery, ThumbnailQuery
from imagegen.api.v1.schemas import Image, ImageList
from imagegen.imaging.formats import FORMATS
from imagegen.services import library
from imagegen.services.library import usage
from imagegen.web import access, files

blueprint = Blueprint("api-images", __name__)

_FILE_TYPES = [format.mime_type for format in FORMATS.values()]
_CACHED = {
    "ETag": "Names these bytes; send it as If-None-Match and get 304 while they are the same.",
    "Cache-Control": "The file never changes.",
}


@blueprint.get("/images")
@access.viewing
@operation(Tags.IMAGES, "listImages", Answers(ImageList, "A page of pictures.", problems=(422,)))
def index(query: ImagesQuery) -> ImageList:
    """List the organisation's pictures.

    Pages are found by key and not by number, so the last is as quick as the first and none is shown twice.
    """
    wish = query.wish()
    page = library.list_images(wish, cursor=query.cursor, limit=query.limit, columns=rows.IMAGE_COLUMNS)
    found: dict[str, Any] = {"items": rows.images(page.items), "next_cursor": page.next_cursor}
    if query.count == "1":
        found["total"] = library.count_images(wish, most=schemas.MOST_COUNTED)
    return ImageList(**found)


@blueprint.get("/images/<image_id>")
@access.viewing
@operation(Tags.IMAGES, "readImage", Answers(Image, "The picture.", problems=(404,)))
def read(image_id: str) -> Image:
    """Read one picture."""
    return rows.images([library.get_image(image_id)])[0]


@blueprint.patch("/images/<image_id>")
@access.organising
@operation(Tags.IMAGES, "changeImage", Answers(Image, "The picture as it is now.", problems=(*BODY, 404)))
def change(image_id: str, json: ImagePatch) -> Image:
    """Change a picture's title, alt text, tags or star. What is not given stays."""
    library.change(
        public_id=image_id,
        title=json.title,
        alt_text=json.alt_text,
        favourite=json.favourite,
        tag_names=json.tags,
    )
    return rows.images([library.get_image(image_id)])[0]


@blueprint.delete("/images/<image_id>")
@access.organising
@operation(Tags.IMAGES, "deleteImage", NoContent("In the trash.", problems=(404, 409, 422)))
def delete(image_id: str, query: DeleteQuery) -> ResponseReturnValue:
    """Put a picture into the trash, from where it can be restored.

    One that something uses stays, and the answer, 409, names what uses it; with `force=1` it goes anyway.
    """
    image = library.get_image(image_id)
    if query.force == "0":
        usage.check_free(image)
    library.trash(public_id=image_id)
    return "", 204


@blueprint.post("/images/<image_id>/restore")
@access.organising
@operation(Tags.IMAGES, "restoreImage", Answers(Image, "The picture, out of the trash.", problems=(404,)))
def restore(image_id: str) -> Image:
    """Take a picture out of the trash, as it was."""
    library.restore(public_id=image_id)
    return rows.images([library.get_image(image_id)])[0]


@blueprint.get("/images/<image_id>/uses")
@access.viewing
@operation(Tags.IMAGES, "listImageUses", Answers(ImageUses, "What uses it.", problems=(404,)))
def uses(image_id: str) -> ImageUses:
    """List what uses a picture."""
    image = library.get_image(image_id)
    found = usage.where_used([image.id]).get(image.id, [])
    return ImageUses(
        items=[ImageUse(kind=use.kind, id=use.reference, label=use.found.label) for use in found if use.found]
    )


@blueprint.get("/images/<image_id>/near-duplicates")
@access.viewing
@operation(Tags.IMAGES, "listNearDuplicates", Answers(ImageList, "Pictures that look like it.", problems=(404,)))
def near_duplicates(image_id: str) -> ImageList:
    """List pictures that look all but the same, the most alike first."""
    found = library.near_duplicates(library.get_image(image_id), columns=rows.IMAGE_COLUMNS)
    return ImageList(items=rows.images(found), next_cursor=None)


@blueprint.get("/images/<image_id>/file")
@access.viewing
@operation(
    Tags.IMAGES,
    "readImageFile",
    Answers(None, "The file.", content_types=_FILE_TYPES, headers=_CACHED, problems=(404, 422)),
)
def file(image_id: str, query: FileQuery) -> ResponseReturnValue:
    """Read a picture's file.

    The pixels are those that came, as they were compressed. A made picture's file says that AI made it; one that was
    brought says nothing of itself.
    """
    return files.send_image(library.get_image(image_id), download=query.download == "1")


@blueprint.get("/images/<image_id>/thumbnail")
@access.viewing
@operation(
    Tags.IMAGES,
    "readImageThumbnail",
    Answers(None, "The preview.", content_types=("image/webp",), headers=_CACHED, problems=(404, 422)),
)
def thumbnail(image_id: str, query: ThumbnailQuery) -> ResponseReturnValue:
    """Read a preview of a picture.

    Where none is as wide as asked for it is the widest there is.
    """
    return files.send_rendition(library.get_image(image_id), query.width)
