"""Earlier pictures that answer the same request again: which request is the same, and which pictures there are."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, select, union_all
from sqlalchemy.orm import Session

from imagegen.core.text import clean
from imagegen.models import Image

Reuse = Literal["never", "exact"]
NEVER: Reuse = "never"

_NOT_ASKED = frozenset({"seed", "ratio"})
"""What a shot's request holds beside the request: chance, and the name of a shape whose pixels stand there too."""


def digest(*, provider: str, model: str, asked: Mapping[str, Any]) -> str:
    """Return what two shots share that ask the same of the same model, as 64 hex digits.

    `asked` is `Shot.request`. Whatever is added to that counts, unless it is empty: a picture too few is offered
    rather than a wrong one. White space does not count, upper and lower case do. The seed is compared by `find`.
    """
    same = {name: _normalised(value) for name, value in asked.items() if name not in _NOT_ASKED}
    told = {name: value for name, value in same.items() if value not in (None, "", [])}
    text = json.dumps([provider, model, told], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _normalised(value: Any) -> Any:
    return " ".join(clean(value).split()) if isinstance(value, str) else value


@dataclass(frozen=True)
class Wanted:
    """What a shot asks for; `seed` only where the person gave one."""

    digest: str
    seed: int | None


@dataclass(frozen=True)
class Earlier:
    """A picture that is there already."""

    image_id: int
    seed: int | None


def find(session: Session, *, organisation_id: int, wanted: Sequence[Wanted]) -> list[Earlier | None]:
    """Return a picture of the organisation for each of `wanted`, None where there is none: one query on an index.

    The newest come first, none twice, and none that lies in the trash.
    """
    amounts = Counter(wanted)
    newest = [_newest(organisation_id, want, amount) for want, amount in amounts.items()]
    if not newest:
        return []
    query = (
        select(Image.id, Image.request_digest, Image.seed)
        .where(Image.id.in_(union_all(*newest)))
        .order_by(Image.id.desc())
    )
    piles: dict[Wanted, deque[Earlier]] = {want: deque() for want in amounts}
    for row in session.execute(query):
        for want in (Wanted(row.request_digest, None), Wanted(row.request_digest, row.seed)):
            if want in piles:
                piles[want].append(Earlier(row.id, row.seed))
                break
    return [piles[want].popleft() if piles[want] else None for want in wanted]


def _newest(organisation_id: int, want: Wanted, amount: int) -> Select[tuple[int]]:
    query = select(Image.id).where(
        Image.organisation_id == organisation_id, Image.request_digest == want.digest, Image.deleted_at.is_(None)
    )
    if want.seed is not None:
        query = query.where(Image.seed == want.seed)
    limited = query.order_by(Image.id.desc()).limit(amount).subquery()
    return select(limited.c.id)
