"""The library by program: pages, one picture, its files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from imagegen.api.v1 import schemas
from imagegen.extensions import db, runtime
from imagegen.models import Image, system_scope, unit_of_work
from tests.api.conftest import Api, MakeApi
from tests.conftest import Person
from tests.models.rows import Member
from tests.services.library.conftest import add_picture

Work = Callable[[], None]

FIELDS = """
id filename original_filename title alt_text tags kind mime_type width height file_size sha256 storage_provider url
thumbnail_urls prompt provider model seed job_id parent_id usage_count last_used_at favourite created_at updated_at
deleted_at
"""


@pytest.fixture
def three(api: Api, work: Work) -> list[dict[str, Any]]:
    """Three pictures, newest first."""
    api.make(n=3, seed=7, size="512x512")
    work()
    return api.get("images").get_json()["items"]


def test_a_picture_reads_as_documented(api: Api, three: list[dict[str, Any]]) -> None:
    picture = min(three, key=lambda each: each["seed"])

    assert list(picture) == FIELDS.split()
    assert picture == api.get(f"images/{picture['id']}").get_json()
    assert (picture["kind"], picture["provider"], picture["seed"]) == ("ai_generated", "local", 7)
    assert (picture["prompt"], picture["width"], picture["height"]) == ("violet waves at dusk", 512, 512)
    assert picture["job_id"] == api.get("jobs").get_json()["items"][0]["id"]
    assert picture["created_at"].endswith("Z")


def test_pages_follow_each_other_without_gap_or_repetition(api: Api, three: list[dict[str, Any]]) -> None:
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = api.get(f"images?limit=1{cursor}").get_json()
        seen += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == [picture["id"] for picture in three]
    assert page["next_cursor"] is None


def test_a_page_has_twenty_pictures_a_hundred_if_asked_for_and_totals_end_at_ten_thousand_and_one(
    api: Api, ann: Person
) -> None:
    for _ in range(102):
        add_picture(Member(user_id=ann.user.id, organisation_id=ann.organisation.id))
    assert len(api.get("images").get_json()["items"]) == 20
    page = api.get("images?limit=100&count=1").get_json()
    assert (len(page["items"]), page["total"]) == (100, 102)
    rest = api.get(f"images?limit=100&cursor={page['next_cursor']}").get_json()
    assert (len(rest["items"]), rest["next_cursor"]) == (2, None)
    assert schemas.MOST_COUNTED == 10_001


def test_a_total_is_told_only_when_asked_for(api: Api, three: list[dict[str, Any]]) -> None:
    assert "total" not in api.get("images").get_json()
    assert api.get("images?count=1&limit=1").get_json()["total"] == 3
    assert api.get("images?count=1&filter=favourites").get_json()["total"] == 0


def test_a_total_stops_at_its_cap(api: Api, three: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.api.v1.schemas.MOST_COUNTED", 2)

    assert api.get("images?count=1").get_json()["total"] == 2


def test_a_total_counts_ones_own_organisation_alone(api: Api, other: Api, three: list[dict[str, Any]]) -> None:
    assert other.get("images?count=1").get_json() == {"items": [], "next_cursor": None, "total": 0}


def test_a_filter_narrows(api: Api, three: list[dict[str, Any]]) -> None:
    assert len(api.get("images?filter=ai_generated").get_json()["items"]) == 3
    assert api.get("images?filter=uploaded").get_json()["items"] == []


UNKNOWN = [
    "filter=no-such",
    "sort=no-such",
    "limit=0",
    "limit=101",
    "limit=ten",
    "limit=1&limit=2",
    "cursor=no-such",
    "cursor=" + "a" * 65,
    "count=2",
    "no-such=1",
]


def test_an_unknown_value_is_refused(api: Api) -> None:
    for query in UNKNOWN:
        response = api.get(f"images?{query}")

        assert response.status_code == 422, query
        assert response.get_json()["errors"][0]["field"] == query.partition("=")[0]


def test_the_file_is_what_its_hash_says(api: Api, three: list[dict[str, Any]]) -> None:
    picture = three[0]

    response = api.get(picture["url"])

    assert response.mimetype == picture["mime_type"]
    assert len(response.data) == picture["file_size"]
    assert hashlib.sha256(response.data).hexdigest() == picture["sha256"]


def test_a_file_is_cached_for_good_and_never_run(api: Api, three: list[dict[str, Any]]) -> None:
    for address in (three[0]["url"], *three[0]["thumbnail_urls"].values()):
        first = api.get(address)
        again = api.get(address, headers={"If-None-Match": first.headers["ETag"]})

        assert (first.status_code, again.status_code, again.data) == (200, 304, b"")
        assert "immutable" in first.headers["Cache-Control"] and "private" in first.headers["Cache-Control"]
        assert first.headers["X-Content-Type-Options"] == "nosniff"
        assert first.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_a_file_is_saved_under_its_name_when_asked_for(api: Api, three: list[dict[str, Any]]) -> None:
    shown = api.get(three[0]["url"]).headers["Content-Disposition"]
    saved = api.get(three[0]["url"] + "?download=1").headers["Content-Disposition"]

    assert shown.startswith("inline")
    name = three[0]["filename"]
    assert saved == f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}"


def test_a_preview_is_the_smallest_that_is_wide_enough(api: Api, three: list[dict[str, Any]]) -> None:
    widths = sorted(int(width) for width in three[0]["thumbnail_urls"])
    lengths = {width: len(api.get(f"{_preview(three[0])}?width={width}").data) for width in widths}

    assert len(set(lengths.values())) == len(widths)
    assert len(api.get(f"{_preview(three[0])}?width=1").data) == lengths[widths[0]]
    assert len(api.get(f"{_preview(three[0])}?width={widths[0] + 1}").data) == lengths[widths[1]]
    assert len(api.get(f"{_preview(three[0])}?width=16384").data) == lengths[widths[-1]]


def test_of_a_picture_without_previews_no_addresses_are_told_that_lead_nowhere(api: Api, ann: Person) -> None:
    image = add_picture(Member(user_id=ann.user.id, organisation_id=ann.organisation.id))
    assert api.get(f"images/{image.public_id}").get_json()["thumbnail_urls"] == {}
    assert api.get(f"images/{image.public_id}/thumbnail?width=256").status_code == 404


def test_a_preview_that_got_lost_is_made_again(api: Api, three: list[dict[str, Any]]) -> None:
    address = f"{_preview(three[0])}?width=256"
    before = api.get(address).data
    lost = [key for key in runtime.storage.iter_keys() if key.endswith("-256.webp") and three[0]["sha256"] in key]
    for key in lost:
        runtime.storage.delete(key)

    response = api.get(address)

    assert len(lost) == 1
    assert (response.status_code, response.mimetype) == (200, "image/webp")
    assert abs(len(response.data) - len(before)) < 1000


def test_a_preview_needs_a_width_in_pixels(api: Api, three: list[dict[str, Any]]) -> None:
    for query in ("width=0", "width=wide", "width=99999", "height=5", "width=1&width=2"):
        assert api.get(f"{_preview(three[0])}?{query}").status_code == 422, query


def test_a_file_that_is_gone_is_not_there(api: Api, three: list[dict[str, Any]]) -> None:
    for key in list(runtime.storage.iter_keys()):
        runtime.storage.delete(key)

    assert api.get(three[0]["url"]).status_code == 404
    assert api.get(_preview(three[0])).status_code == 404


def test_a_picture_in_the_trash_is_not_listed(api: Api, ann: Person, three: list[dict[str, Any]]) -> None:
    with system_scope(), unit_of_work() as uow:
        row = uow.query(Image).filter_by(public_id=three[0]["id"]).one()
        row.deleted_at = row.created_at
    db.session.rollback()

    assert len(api.get("images").get_json()["items"]) == 2
    assert api.get("images?count=1").get_json()["total"] == 2
    assert api.get(f"images/{three[0]['id']}").status_code == 404


def test_another_organisation_finds_nothing(api: Api, other: Api, three: list[dict[str, Any]]) -> None:
    assert other.get("images").get_json()["items"] == []
    for address in (f"images/{three[0]['id']}", three[0]["url"], *three[0]["thumbnail_urls"].values()):
        response = other.get(address)

        assert response.status_code == 404
        assert response.get_json() == other.get("images/0198f2a4-5b6c-7d8e-9f01-23456789abcd").get_json()


def test_a_list_costs_the_same_queries_however_long_it_is(
    api: Api, ann: Person, make_api: MakeApi, three: list[dict[str, Any]], count_queries: Callable[..., int]
) -> None:
    one, all_three = (count_queries(lambda limit=limit: api.get(f"images?limit={limit}")) for limit in (1, 3))

    assert one == all_three


def test_a_picture_that_is_not_there_is_404(api: Api) -> None:
    for id in ("no-such", "1", "..%5c..%5cetc", "0198f2a4-5b6c-7d8e-9f01-23456789abcd", "%00"):
        for part in ("", "/file", "/thumbnail"):
            assert api.get(f"images/{id}{part}").status_code == 404, id


def _preview(picture: dict[str, Any]) -> str:
    return f"/api/v1/images/{picture['id']}/thumbnail"
