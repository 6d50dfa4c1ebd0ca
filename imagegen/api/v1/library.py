"""Tags, collections and saved searches."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from imagegen.api.v1.library_schemas import (
    Changed,
    Collection,
    CollectionList,
    IdsBody,
    NameBody,
    SavedSearch,
    SavedSearchList,
    SearchBody,
    Tag,
    TagList,
    TagsQuery,
)
from imagegen.api.v1.openapi import BODY, DELETED, Answers, Tags, operation
from imagegen.models import Collection as CollectionRow
from imagegen.models import SavedSearch as SearchRow
from imagegen.models import Tag as TagRow
from imagegen.services.library import collections, searches, tags
from imagegen.web import access
from imagegen.web.auth import identity

blueprint = Blueprint("api-library", __name__)

_DAYS = {"since": "from", "until": "to"}


@blueprint.get("/tags")
@access.viewing
@operation(Tags.LIBRARY, "listTags", Answers(TagList, "Tags.", problems=(422,)))
def list_tags(query: TagsQuery) -> TagList:
    """List the organisation's tags, or those that begin with what somebody types."""
    found = tags.suggest(query.q) if query.q else tags.all_tags()
    return TagList(items=[_tag(row) for row in found])


@blueprint.patch("/tags/<tag_id>")
@access.organising
@operation(Tags.LIBRARY, "renameTag", Answers(Tag, "The tag as it is now.", problems=(*BODY, 404, 409)))
def rename_tag(tag_id: str, json: NameBody) -> Tag:
    """Write a tag differently, on all its pictures."""
    return _tag(tags.rename(public_id=tag_id, name=json.name))


@blueprint.delete("/tags/<tag_id>")
@access.organising
@operation(Tags.LIBRARY, "deleteTag", DELETED)
def delete_tag(tag_id: str) -> ResponseReturnValue:
    """Delete a tag, and so take it off all pictures."""
    tags.remove(public_id=tag_id)
    return "", 204


@blueprint.get("/collections")
@access.viewing
@operation(Tags.LIBRARY, "listCollections", Answers(CollectionList, "Collections."))
def list_collections() -> CollectionList:
    """List the organisation's collections by name."""
    return CollectionList(items=[_collection(row) for row in collections.all_collections()])


@blueprint.post("/collections")
@access.organising
@operation(
    Tags.LIBRARY,
    "createCollection",
    Answers(
        Collection,
        "The collection.",
        status=201,
        headers={"Location": "Path of the collection."},
        problems=(*BODY, 409),
    ),
)
def create_collection(json: NameBody) -> tuple[Collection, int, dict[str, str]]:
    """Make an empty collection."""
    who = identity()
    made = collections.make(organisation_id=who.organisation.id, user_id=who.user.id, name=json.name)
    location = url_for("api-library.read_collection", collection_id=made.public_id)
    return _collection(made), 201, {"Location": location}


@blueprint.get("/collections/<collection_id>")
@access.viewing
@operation(Tags.LIBRARY, "readCollection", Answers(Collection, "The collection.", problems=(404,)))
def read_collection(collection_id: str) -> Collection:
    """Read one collection. Its pictures are listed by `GET /images?collection=`."""
    return _collection(collections.get(collection_id))


@blueprint.patch("/collections/<collection_id>")
@access.organising
@operation(
    Tags.LIBRARY, "renameCollection", Answers(Collection, "The collection as it is now.", problems=(*BODY, 404, 409))
)
def rename_collection(collection_id: str, json: NameBody) -> Collection:
    """Call a collection something else."""
    return _collection(collections.rename(public_id=collection_id, name=json.name))


@blueprint.delete("/collections/<collection_id>")
@access.organising
@operation(Tags.LIBRARY, "deleteCollection", DELETED)
def delete_collection(collection_id: str) -> ResponseReturnValue:
    """Delete a collection. Its pictures stay in the library."""
    collections.remove(public_id=collection_id)
    return "", 204


@blueprint.post("/collections/<collection_id>/images")
@access.organising
@operation(
    Tags.LIBRARY,
    "addToCollection",
    Answers(Changed, "The pictures that were not in it before.", problems=(*BODY, 404)),
)
def put_in(collection_id: str, json: IdsBody) -> Changed:
    """Put pictures into a collection. Ids of no picture are passed over."""
    return Changed(ids=collections.put_in(public_id=collection_id, image_ids=json.ids))


@blueprint.post("/collections/<collection_id>/images/remove")
@access.organising
@operation(
    Tags.LIBRARY,
    "removeFromCollection",
    Answers(Changed, "The pictures that were in it before.", problems=(*BODY, 404)),
)
def take_out(collection_id: str, json: IdsBody) -> Changed:
    """Take pictures out of a collection. They stay in the library."""
    return Changed(ids=collections.take_out(public_id=collection_id, image_ids=json.ids))


@blueprint.get("/searches")
@access.viewing
@operation(Tags.LIBRARY, "listSearches", Answers(SavedSearchList, "Searches."))
def list_searches() -> SavedSearchList:
    """List the searches that you have kept, by name."""
    return SavedSearchList(items=[_search(row) for row in searches.all_searches(user_id=identity().user.id)])


@blueprint.post("/searches")
@access.organising
@operation(Tags.LIBRARY, "saveSearch", Answers(SavedSearch, "The search.", status=201, problems=(*BODY, 409)))
def save_search(json: SearchBody) -> tuple[SavedSearch, int]:
    """Keep a search under a name, for yourself."""
    who = identity()
    made = searches.save(
        organisation_id=who.organisation.id, user_id=who.user.id, name=json.name, wish=json.search.wish()
    )
    return _search(made), 201


@blueprint.delete("/searches/<search_id>")
@access.organising
@operation(Tags.LIBRARY, "deleteSearch", DELETED)
def delete_search(search_id: str) -> ResponseReturnValue:
    """Delete a search of yours."""
    searches.forget(user_id=identity().user.id, public_id=search_id)
    return "", 204


def _tag(row: TagRow) -> Tag:
    return Tag(id=row.public_id, name=row.name)


def _collection(row: CollectionRow) -> Collection:
    return Collection(id=row.public_id, name=row.name, created_at=row.created_at, updated_at=row.updated_at)


def _search(row: SearchRow) -> SavedSearch:
    wish: dict[str, Any] = {_DAYS.get(name, name): value for name, value in row.wish.items()}
    return SavedSearch(id=row.public_id, name=row.name, search=wish, created_at=row.created_at)
