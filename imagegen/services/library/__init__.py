"""The library: putting pictures in, finding them, reading them, and putting them in order."""

from imagegen.services.library.arrival import StoredFiles, add_generated, arrive, filename_for, find_duplicate
from imagegen.services.library.changing import change, star, star_all
from imagegen.services.library.listing import GRID_COLUMNS, MOST_COUNTED, count_images, ids_of, list_images
from imagegen.services.library.near import LOOKS_LIKE_EARLIER, near_duplicates
from imagegen.services.library.paging import PAGE, Page, decode_cursor, encode_cursor
from imagegen.services.library.palette import COLOURS
from imagegen.services.library.reading import (
    RECALLS,
    Neighbours,
    Origin,
    display_title,
    files_of,
    get_image,
    neighbours,
    origin_of,
    recall,
    siblings,
    versions,
)
from imagegen.services.library.selecting import AT_A_TIME, MOST_AT_ONCE, batches
from imagegen.services.library.storing import store
from imagegen.services.library.tags import tag_all, tags_of, untag_all
from imagegen.services.library.trash import delete_for_ever, put_into_trash, restore, restore_all, trash
from imagegen.services.library.wishes import FILTERS, SORTS, Wish

__all__ = [
    "AT_A_TIME",
    "COLOURS",
    "FILTERS",
    "GRID_COLUMNS",
    "LOOKS_LIKE_EARLIER",
    "MOST_AT_ONCE",
    "MOST_COUNTED",
    "PAGE",
    "RECALLS",
    "SORTS",
    "Neighbours",
    "Origin",
    "Page",
    "StoredFiles",
    "Wish",
    "add_generated",
    "arrive",
    "batches",
    "change",
    "count_images",
    "decode_cursor",
    "delete_for_ever",
    "display_title",
    "encode_cursor",
    "filename_for",
    "files_of",
    "find_duplicate",
    "get_image",
    "ids_of",
    "list_images",
    "near_duplicates",
    "neighbours",
    "origin_of",
    "put_into_trash",
    "recall",
    "restore",
    "restore_all",
    "siblings",
    "star",
    "star_all",
    "store",
    "tag_all",
    "tags_of",
    "trash",
    "untag_all",
    "versions",
]
