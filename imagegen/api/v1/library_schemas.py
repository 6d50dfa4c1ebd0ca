"""What the API is asked and answers about the library: pictures, tags, collections, saved searches."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from imagegen.api.v1.requests import ListQuery, Reading
from imagegen.api.v1.schemas import Id, Moment, Written
from imagegen.services.generation import Text
from imagegen.services.library import COLOURS, FILTERS, MOST_AT_ONCE, SORTS, Wish
from imagegen.services.library.changing import LONGEST_ALT_TEXT, LONGEST_TITLE
from imagegen.services.library.marks import ORIENTATIONS
from imagegen.services.library.paging import LONGEST_CURSOR
from imagegen.services.library.tags import LONGEST, MOST_OF_PICTURE
from imagegen.services.library.usage import MOST_TOLD
from imagegen.services.library.words import LONGEST_SEARCH

Day = Annotated[date | None, Field(examples=["2026-11-21"])]


class Search(Reading):
    """Which pictures are wanted; whatever is not given narrows nothing."""

    q: str = Field(
        "",
        max_length=LONGEST_SEARCH,
        description="Words, or parts of words, of the file's name, prompt, title, alt text and tags: all of them.",
    )
    filter: str = Field("all", description="Which pictures.", json_schema_extra={"enum": list(FILTERS)})
    sort: str = Field("newest", description="In which order.", json_schema_extra={"enum": list(SORTS)})
    tag: str = Field("", max_length=LONGEST, description="A tag's name.")
    collection: str = Field("", max_length=36, description="A collection's id.")
    person: str = Field("", max_length=36, description="Id of the person who made or uploaded it.")
    provider: str = Field("", max_length=32, description="Id of the provider that made it.")
    model: str = Field("", max_length=120, description="Id of the model that made it.")
    style: str = Field("", max_length=40, description="Id of the style it was made in.")
    colour: str = Field(
        "", description="A colour that covers much of it.", json_schema_extra={"enum": ["", *COLOURS]}
    )
    orientation: str = Field("", description="Its shape.", json_schema_extra={"enum": ["", *ORIENTATIONS]})
    since: Day = Field(None, alias="from", description="First day on which it came, in UTC.")
    until: Day = Field(None, alias="to", description="Last day on which it came, in UTC.")
    stack: Literal["0", "1"] = Field("0", description="1 shows the variants of a job as one, its first.")

    def wish(self) -> Wish:
        """Return it in the library's words; raises StudioError."""
        return Wish.from_mapping(self.model_dump())


class ImagesQuery(Search, ListQuery):
    """Which pictures are wanted, and which part of them."""

    cursor: str | None = Field(None, max_length=LONGEST_CURSOR, description="`next_cursor` of the page before.")


class ImagePatch(Reading):
    """What is to be changed of a picture; what is not given stays."""

    title: Text | None = Field(None, max_length=LONGEST_TITLE, description="Title; empty for none.")
    alt_text: Text | None = Field(
        None, max_length=LONGEST_ALT_TEXT, description="What it shows, for those who cannot see it."
    )
    tags: list[Annotated[Text, Field(min_length=1, max_length=LONGEST)]] | None = Field(
        None, max_length=MOST_OF_PICTURE, description="All its tags; those that are new are made."
    )
    favourite: bool | None = Field(None, description="Whether it has a star.")


class DeleteQuery(Reading):
    """How sure somebody is."""

    force: Literal["0", "1"] = Field("0", description="1 deletes it although something uses it.")


class NameBody(Reading):
    """What something is called."""

    name: Text = Field(min_length=1, max_length=120, description="Name.", examples=["Autumn campaign"])


class IdsBody(Reading):
    """Which pictures."""

    ids: list[Annotated[str, Field(max_length=36)]] = Field(
        min_length=1, max_length=MOST_AT_ONCE, description="Ids of pictures."
    )


class Changed(Written):
    """What a verb has changed."""

    ids: list[str] = Field(description="Ids of the pictures that are different now.")


class ImageUse(Written):
    """Something that uses a picture."""

    kind: str = Field(description="What kind of thing it is.", examples=["version"])
    id: Id
    label: str = Field(description="What it is called.")


class ImageUses(Written):
    """Where a picture is used."""

    items: list[ImageUse] = Field(description=f"What uses it, the first user first; {MOST_TOLD} at most.")


class Tag(Written):
    """A tag."""

    id: Id
    name: str = Field(description="The word.", examples=["Launch"])


class TagList(Written):
    """Tags in the order of the alphabet."""

    items: list[Tag] = Field(description="The tags.")


class TagsQuery(Reading):
    """Which tags are wanted."""

    q: str = Field("", max_length=LONGEST, description="How they begin, for suggestions; all of them without it.")


class Collection(Written):
    """A named set of pictures; its pictures are listed by `GET /images?collection=`."""

    id: Id
    name: str = Field(description="Name.", examples=["Autumn campaign"])
    created_at: Moment
    updated_at: Moment


class CollectionList(Written):
    """Collections by name."""

    items: list[Collection] = Field(description="The collections.")


class SearchBody(Reading):
    """A search to be kept."""

    name: Text = Field(min_length=1, max_length=80, description="Name.", examples=["Blue portraits"])
    search: Search = Field(description="What to look for, in the words of GET /images.")


class SavedSearch(Written):
    """A search that you have kept."""

    id: Id
    name: str = Field(description="Name.", examples=["Blue portraits"])
    search: dict[str, Any] = Field(description="What it looks for: parameters of `GET /images`.")
    created_at: Moment


class SavedSearchList(Written):
    """Your searches by name."""

    items: list[SavedSearch] = Field(description="The searches.")
