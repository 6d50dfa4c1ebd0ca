"""The library by program: what is found, what is changed, what is kept to find it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Api

Work = Callable[[], None]


@pytest.fixture
def pictures(api: Api, work: Work) -> list[dict[str, Any]]:
    """Four pictures, newest first: two of violet waves, two of a lighthouse; one of each wide."""
    for prompt in ("violet waves at dusk", "a paper lighthouse"):
        for size in ("512x512", "768x512"):
            api.make(prompt=prompt, size=size)
            work()
    return api.get("images").get_json()["items"]


def names(api: Api, query: str) -> list[str]:
    return [item["filename"] for item in api.get(f"images?{query}").get_json()["items"]]


def ids(api: Api, query: str) -> list[str]:
    return [item["id"] for item in api.get(f"images?{query}").get_json()["items"]]


def test_a_search_and_filters_narrow_together(api: Api, pictures: list[dict[str, Any]]) -> None:
    assert len(ids(api, "q=light")) == 2
    assert ids(api, "q=light&orientation=landscape") == [pictures[0]["id"]]
    assert ids(api, "q=waves&orientation=square&provider=local") == [pictures[3]["id"]]
    assert ids(api, "q=waves&provider=openai") == []


def test_a_search_goes_over_pages_in_every_order(api: Api, pictures: list[dict[str, Any]]) -> None:
    for sort in ("newest", "oldest", "most_used", "name"):
        whole = ids(api, f"sort={sort}")
        first = api.get(f"images?sort={sort}&limit=3").get_json()
        rest = api.get(f"images?sort={sort}&limit=3&cursor={first['next_cursor']}").get_json()
        assert [item["id"] for item in first["items"] + rest["items"]] == whole, sort
        assert rest["next_cursor"] is None and len(set(whole)) == 4
    assert names(api, "sort=name") == sorted(names(api, ""))
    assert ids(api, "sort=oldest") == ids(api, "")[::-1]


def test_a_total_counts_what_was_asked_for(api: Api, pictures: list[dict[str, Any]]) -> None:
    assert api.get("images?q=lighthouse&count=1&limit=1").get_json()["total"] == 2
    assert api.get("images?from=2001-01-01&to=2001-12-31&count=1").get_json()["total"] == 0
    assert api.get("images?from=2020-02-03&count=1").get_json()["total"] == 4


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("filter=everything", "filter"),
        ("sort=best", "sort"),
        ("colour=mauve", "colour"),
        ("orientation=round", "orientation"),
        ("from=yesterday", "from"),
        ("sort=name&cursor=aTE", "cursor"),
        ("cursor=zzz", "cursor"),
        ("tags=x", "tags"),
    ],
)
def test_what_there_is_not_is_refused_by_name(api: Api, query: str, field: str) -> None:
    response = api.get(f"images?{query}")

    assert response.status_code == 422
    assert [error["field"] for error in response.get_json()["errors"]] == [field]


def test_a_picture_is_changed_piece_by_piece(api: Api, pictures: list[dict[str, Any]]) -> None:
    path = f"images/{pictures[0]['id']}"
    changed = api.send("PATCH", path, json={"title": " Night  light ", "tags": ["Sea", "sea", "Nüchtern"]}).get_json()
    assert (changed["title"], changed["tags"]) == ("Night light", ["Nüchtern", "Sea"])
    again = api.send("PATCH", path, json={"favourite": True, "alt_text": "A tower."}).get_json()
    assert (again["title"], again["tags"], again["favourite"], again["alt_text"]) == (
        "Night light",
        ["Nüchtern", "Sea"],
        True,
        "A tower.",
    )
    assert ids(api, "tag=SEA") == ids(api, "filter=favourites") == ids(api, "q=tower") == [pictures[0]["id"]]
    assert ids(api, "q=nuchtern") == [pictures[0]["id"]]
    api.send("PATCH", path, json={"tags": []})
    assert ids(api, "tag=sea") == ids(api, "q=nuchtern") == []


@pytest.mark.parametrize("body", [{"title": "x" * 201}, {"tags": [""]}, {"favourite": "yes"}, {"kind": "uploaded"}])
def test_a_change_that_cannot_be_is_refused(api: Api, pictures: list[dict[str, Any]], body: dict[str, Any]) -> None:
    assert api.send("PATCH", f"images/{pictures[0]['id']}", json=body).status_code == 422


def test_a_picture_goes_into_the_trash_and_comes_back(api: Api, pictures: list[dict[str, Any]]) -> None:
    path = f"images/{pictures[0]['id']}"
    assert api.send("DELETE", path).status_code == 204
    assert api.get(path).status_code == 404
    assert ids(api, "filter=trash") == [pictures[0]["id"]]
    assert api.get("images?filter=trash").get_json()["items"][0]["deleted_at"]
    assert ids(api, "q=lighthouse") == [pictures[1]["id"]]

    restored = api.post(f"{path}/restore").get_json()
    assert restored["deleted_at"] is None
    assert api.post(f"{path}/restore").status_code == 404
    assert ids(api, "") == [item["id"] for item in pictures]


def test_collections_hold_pictures_that_stay_where_they_are(api: Api, pictures: list[dict[str, Any]]) -> None:
    response = api.post("collections", {"name": "Autumn"})
    made = response.get_json()
    assert response.status_code == 201 and response.headers["Location"].endswith(made["id"])
    assert api.post("collections", {"name": " AUTUMN "}).status_code == 409

    wanted = [pictures[1]["id"], pictures[3]["id"]]
    body = {"ids": [*wanted, "no-such-picture"]}
    assert sorted(api.post(f"collections/{made['id']}/images", body).get_json()["ids"]) == sorted(wanted)
    assert api.post(f"collections/{made['id']}/images", body).get_json()["ids"] == []
    assert ids(api, f"collection={made['id']}") == wanted
    assert api.post(f"collections/{made['id']}/images/remove", {"ids": wanted[:1]}).get_json()["ids"] == wanted[:1]
    assert ids(api, f"collection={made['id']}") == wanted[1:]

    assert api.send("DELETE", f"collections/{made['id']}").status_code == 204
    assert api.get("collections").get_json()["items"] == []
    assert len(ids(api, "")) == 4


def test_tags_are_suggested_renamed_and_deleted(api: Api, pictures: list[dict[str, Any]]) -> None:
    api.send("PATCH", f"images/{pictures[0]['id']}", json={"tags": ["Summer", "Sea", "100%"]})
    assert [tag["name"] for tag in api.get("tags?q=s").get_json()["items"]] == ["Sea", "Summer"]
    assert api.get("tags?q=%25").get_json()["items"] == []
    sea = api.get("tags?q=sea").get_json()["items"][0]["id"]
    assert api.send("PATCH", f"tags/{sea}", json={"name": "summer"}).status_code == 409

    assert api.send("PATCH", f"tags/{sea}", json={"name": "Ocean"}).get_json()["name"] == "Ocean"
    assert ids(api, "tag=ocean") == ids(api, "q=oce") == [pictures[0]["id"]]
    assert api.send("DELETE", f"tags/{sea}").status_code == 204
    assert ids(api, "tag=ocean") == []


def test_a_search_is_kept_for_oneself(api: Api, eve_api: Api) -> None:
    search = {"q": "waves", "filter": "favourites", "from": "2026-01-31"}
    made = api.post("searches", {"name": "Waves", "search": search}).get_json()
    assert made["search"] == search
    assert api.post("searches", {"name": "Waves", "search": {}}).status_code == 409
    assert api.post("searches", {"name": "Odd", "search": {"filter": "everything"}}).status_code == 422
    assert eve_api.get("searches").get_json()["items"] == []
    assert eve_api.send("DELETE", f"searches/{made['id']}").status_code == 404
    assert api.send("DELETE", f"searches/{made['id']}").status_code == 204


def test_pictures_that_look_alike_are_listed(api: Api, pictures: list[dict[str, Any]], work: Work) -> None:
    api.make(prompt="violet waves at dusk", size="512x512", seed=pictures[3]["seed"])
    work()

    found = api.get(f"images/{pictures[3]['id']}/near-duplicates").get_json()["items"]
    assert [item["seed"] for item in found] == [pictures[3]["seed"]]
    assert api.get(f"images/{pictures[0]['id']}/uses").get_json() == {"items": []}
