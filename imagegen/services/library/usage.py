"""Where pictures are used: one registry, so that usage counts are true and a picture in use is not deleted unseen.

Whatever uses pictures says so with `use` in the transaction that makes it use them, and `release` in the one that
ends it; and registers a finder, once at import, that tells people what it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from imagegen.core.clock import now
from imagegen.core.errors import Conflict
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import Image, ImageUse, UnitOfWork
from imagegen.services.library import indexing

VERSION = "version"

MOST_TOLD = 200
"""Uses that are looked up at a time: a picture may have any number of versions, and `usage_count` tells it."""

_MOST_NAMED = 5


@dataclass(frozen=True)
class Found:
    """A thing that uses pictures: what it is called, and the endpoint and id under which pages show it."""

    label: str
    endpoint: str
    arguments: dict[str, str]


@dataclass(frozen=True)
class Use:
    """One use of a picture."""

    kind: str
    reference: str
    found: Found | None


Finder = Callable[[Sequence[str]], dict[str, Found]]
"""Given public ids of things of one kind, tells what is known of each that still exists."""


@dataclass(frozen=True)
class Kind:
    """A kind of thing that uses pictures; with `warns`, deleting a picture that one uses asks first."""

    name: str
    finder: Finder
    warns: bool


_kinds: dict[str, Kind] = {}


def register(name: str, *, warns: bool = True) -> Callable[[Finder], Finder]:
    """Let things of a kind (up to 16 letters) use pictures: `@register("carousel")` above their finder."""

    def remember(finder: Finder) -> Finder:
        _kinds[name] = Kind(name, finder, warns)
        return finder

    return remember


def use(uow: UnitOfWork, *, kind: str, reference: str, image_ids: Iterable[int]) -> None:
    """Let exactly these pictures be used by the thing with the public id `reference`, and no others any more."""
    if kind not in _kinds:
        raise ValueError(f"nobody has registered a finder for {kind}")
    wanted = set(image_ids)
    query = select(ImageUse.image_id).where(ImageUse.kind == kind, ImageUse.reference == reference)
    had = set(uow.scalars(query))
    gone, fresh = had - wanted, wanted - had
    if gone:
        uow.execute(
            delete(ImageUse).where(
                ImageUse.kind == kind, ImageUse.reference == reference, ImageUse.image_id.in_(gone)
            )
        )
    owners = uow.execute(select(Image.id, Image.organisation_id).where(Image.id.in_(fresh))).all() if fresh else []
    uow.add_all(
        ImageUse(organisation_id=owner, image_id=image_id, kind=kind, reference=reference)
        for image_id, owner in owners
    )
    uow.flush()
    _count(uow, gone, used=False)
    _count(uow, {image_id for image_id, _ in owners}, used=True)


def release(uow: UnitOfWork, *, kind: str, reference: str) -> None:
    """Forget that the thing `reference` uses pictures, because it is gone."""
    use(uow, kind=kind, reference=reference, image_ids=())


def users_among(uow: UnitOfWork, *, kind: str, references: Iterable[str]) -> Sequence[str]:
    """Return which of these things of a kind use any picture."""
    using = select(ImageUse.reference).where(ImageUse.kind == kind, ImageUse.reference.in_(list(references)))
    return uow.scalars(using.distinct().order_by(ImageUse.reference)).all()


def where_used(image_ids: Iterable[int], *, warning: bool = False, most: int | None = None) -> dict[int, list[Use]]:
    """Return the uses of each picture that is used, the first `most` of all (else `MOST_TOLD`).

    With `warning`, only those that deleting it would hurt.
    """
    kinds = [kind.name for kind in _kinds.values() if kind.warns or not warning]
    query = select(ImageUse.image_id, ImageUse.kind, ImageUse.reference).where(
        ImageUse.image_id.in_(list(image_ids)), ImageUse.kind.in_(kinds)
    )
    rows = db.session.execute(query.order_by(ImageUse.created_at, ImageUse.reference).limit(most or MOST_TOLD)).all()
    references: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        references[row.kind].append(row.reference)
    found = {kind: _kinds[kind].finder(all_of_kind) for kind, all_of_kind in references.items()}
    uses: dict[int, list[Use]] = defaultdict(list)
    for row in rows:
        uses[row.image_id].append(Use(row.kind, row.reference, found[row.kind].get(row.reference)))
    return dict(uses)


def check_free(image: Image) -> None:
    """Raise Conflict, naming the users, if deleting a picture would hurt something that uses it."""
    uses = where_used([image.id], warning=True).get(image.id, [])
    names = [use.found.label for use in uses if use.found is not None]
    if len(names) > _MOST_NAMED:
        names[_MOST_NAMED:] = ["\N{HORIZONTAL ELLIPSIS}"]
    if names:
        raise Conflict(N_("This picture is in use: {names}.").format(names=", ".join(names)))


def _count(uow: UnitOfWork, image_ids: set[int], *, used: bool) -> None:
    if not image_ids:
        return
    indexing.hold(uow, image_ids)
    uses = select(func.count()).where(ImageUse.image_id == Image.id).correlate(Image).scalar_subquery()
    values = {"usage_count": uses} | ({"last_used_at": now()} if used else {})
    uow.execute(
        update(Image).where(Image.id.in_(image_ids)).values(**values),
        execution_options={"synchronize_session": False},
    )
    indexing.reindex(uow, image_ids)


@register(VERSION, warns=False)
def _versions(references: Sequence[str]) -> dict[str, Found]:
    """Pictures that were made from a picture."""
    query = select(Image.public_id, Image.title, Image.filename).where(
        Image.public_id.in_(references), Image.deleted_at.is_(None)
    )
    return {
        row.public_id: Found(row.title or row.filename, "library.detail", {"image_id": row.public_id})
        for row in db.session.execute(query)
    }
