"""The library: days, pages that go on, stars; and the pictures themselves as files."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
import time_machine
from flask import Flask
from PIL import Image as Pixels
from sqlalchemy import select, update

from imagegen.blueprints.library import contexts
from imagegen.extensions import db, runtime
from imagegen.models import Image, Organisation, organisation_scope, unit_of_work
from imagegen.services import library
from imagegen.services.library import marks, shapes, usage, windows
from imagegen.storage import keys
from tests.conftest import MakePerson, Person
from tests.web.browsers import Page
from tests.web.rows import WIDTHS, Made, make_job

PARTIAL = {"HX-Request-Type": "partial"}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def made(ann: Person) -> Made:
    return make_job(ann, states=("succeeded", "succeeded"))


def pictures(page: Page) -> list[str]:
    return [link["data-picture"] for link in page.all("a", class_="tile__open")]


def days(page: Page) -> list[str]:
    return [heading.text for heading in page.all("h2") if any(each.tag == "li" for each in heading.parents)]


# The grid


def test_pictures_stand_by_day_in_the_readers_zone(make_person: MakePerson) -> None:
    with time_machine.travel(NOON, tick=False):
        ann = make_person()
        with unit_of_work() as uow:
            uow.execute(update(Organisation).values(time_zone="Pacific/Auckland"))  # 13 h ahead
        for hours in (-72, -20, 0):
            make_job(ann, created_at=NOON + timedelta(hours=hours))
        found = days(Page(ann.client.get("/library").text))
    assert found == ["Today", "Yesterday", "November 2026"]


def test_days_that_fill_a_row_stand_for_themselves(make_person: MakePerson) -> None:
    with time_machine.travel(NOON, tick=False):
        ann = make_person()
        for ago in (32, 31, 0):
            make_job(ann, states=("succeeded",) * 9, created_at=NOON - timedelta(days=ago))
        found = days(Page(ann.client.get("/library").text))
    assert found == ["Today", "October 20, 2026", "October 19, 2026"]


def test_a_page_of_sparse_days_goes_on_in_its_month(make_person: MakePerson) -> None:
    with time_machine.travel(NOON, tick=False):
        ann = make_person()
        for ago in reversed(range(50)):
            make_job(ann, created_at=NOON - timedelta(days=ago))
        first = Page(ann.client.get("/library").text)
        assert days(first) == ["Today", "Yesterday", "November 2026", "October 2026"]
        rest = Page(ann.client.get(first.one("li", class_="grid__more")["hx-get"], headers=PARTIAL).text)
    assert len(pictures(rest)) == 10 and days(rest) == []


def test_the_grid_goes_on_within_a_day_without_saying_it_again(ann: Person) -> None:
    made = [make_job(ann, states=("succeeded",) * 10, created_at=NOON).images for _ in range(5)]
    newest_first = [image for images in made[::-1] for image in images[::-1]]
    first = Page(ann.client.get("/library").text)
    more = first.one("li", class_="grid__more")
    rest = Page(ann.client.get(more["hx-get"], headers=PARTIAL).text)
    assert pictures(first) + pictures(rest) == newest_first
    assert len(days(first)) == 1 and days(rest) == [] and not rest.faults(whole=False)
    without_script = Page(ann.client.get(first.one("a", class_="button", href=more_href(first))["href"]).text)
    assert pictures(without_script) == pictures(rest) and len(days(without_script)) == 1


def more_href(page: Page) -> str:
    return next(link["href"] for link in page.all("a") if "cursor=" in link.attributes.get("href", ""))


@pytest.mark.parametrize(("q", "there"), [("fog", 1), ("zebra", 0)])
def test_a_search_that_takes_long_goes_on_by_itself_and_says_at_the_end_that_there_was_nothing(
    ann: Person, monkeypatch: pytest.MonkeyPatch, q: str, there: int
) -> None:
    monkeypatch.setattr(windows, "PATIENCE", 0.0)
    monkeypatch.setattr(marks, "WINDOW_BITS", (0, 1))
    monkeypatch.setattr(shapes, "WALK", dict.fromkeys(shapes.WALK, 1))
    monkeypatch.setattr(shapes, "RARE", 0)
    make_job(ann, prompt="fog")
    for _ in range(6):
        make_job(ann, prompt="dusk")

    for address in ("/library", "/library/picker/pictures"):
        page = Page(ann.client.get(f"{address}?q={q}").text)
        found, steps, nothing = len(page.all("img", class_="thumb__picture")), 0, "Nothing found" in page.text
        while more := page.all("li", class_="grid__more"):
            assert not nothing
            page = Page(ann.client.get(more[0]["hx-get"], headers=PARTIAL).text)
            found, steps = found + len(page.all("img", class_="thumb__picture")), steps + 1
            nothing = "Nothing found" in page.text
        assert (found, nothing) == (there, not there)
        assert steps > 1


def test_a_filter_stays_while_the_grid_goes_on(ann: Person) -> None:
    for _ in range(5):
        make_job(ann, states=("succeeded",) * 10)
    with organisation_scope(ann.organisation.id):
        library.star_all(
            public_ids=db.session.scalars(select(Image.public_id).where(Image.id % 10 != 0)).all(), on=True
        )
    first = Page(ann.client.get("/library?filter=favourites").text)
    rest = Page(ann.client.get(first.one("li", class_="grid__more")["hx-get"], headers=PARTIAL).text)
    assert len(pictures(first) + pictures(rest)) == 45
    assert first.one("a", aria_current="page", class_="chip").text.strip() == "Favourites"


def test_an_empty_library_says_what_comes_here_and_an_empty_filter_how_to_leave_it(ann: Person) -> None:
    empty = Page(ann.client.get("/library").text)
    assert "No pictures yet" in empty.text
    primary = [each for each in empty.elements if "button--primary" in each.attributes.get("class", "").split()]
    in_sight = [each for each in primary if not any("popover" in parent.attributes for parent in each.parents)]
    assert [each.text.strip() for each in in_sight] == ["Upload"]  # one primary button a page
    make_job(ann)
    assert "Nothing found" in ann.client.get("/library?filter=favourites").text
    answer = ann.client.get("/library?filter=unheard-of")
    assert answer.status_code == 422 and "There is no such filter." in answer.text


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("colour=none", "There is no such colour. The address says “none”."),
        ("filter=ai", "There is no such filter. The address says “ai”."),
        ("sort=%3Cb%3E", "There is no such order. The address says “<b>”."),
        ("orientation=round", "There is no such shape. The address says “round”."),
        ("since=2026-02-30", "The first day is none of the calendar. The address says “2026-02-30”."),
        ("until=x&sort=y", "There is no such order. The address says “y”."),
        ("cursor=zz", "This page of the library is not to be found any more."),
    ],
)
@pytest.mark.parametrize("headers", [{}, PARTIAL])
def test_an_address_that_asks_for_what_there_is_not_says_so_and_leads_to_the_rest(
    ann: Person, made: Made, query: str, sentence: str, headers: dict[str, str]
) -> None:
    answer = ann.client.get(f"/library?{query}&q=dunes", headers=headers)
    page = Page(answer.text)
    assert answer.status_code == 422 and sentence in " ".join(page.text.split())
    assert "ai_generated" not in page.one("div", class_="empty").text and not pictures(page)
    ways = [link["href"] for link in page.all("a", class_="button") if "href" in link.attributes]
    assert "/library?q=dunes" in ways and "/library" in ways
    assert page.one("form", id="wish")


def test_a_first_day_after_the_last_is_said_to_be_so(ann: Person, made: Made) -> None:
    said = "The first day lies after the last"
    assert said in ann.client.get("/library?since=2026-11-20&until=2026-11-19").text
    answer = ann.client.get("/library?since=2020-11-20&until=2020-11-20").text
    assert "Nothing found" in answer and said not in answer


@pytest.mark.parametrize(
    "day", ["", "x", "2026-13-45", "2026-13", "0000-00-00", "9" * 400, "20261120", "2026-W47", "2026-11-20T00:00"]
)
def test_a_day_that_is_none_does_no_harm(ann: Person, made: Made, day: str) -> None:
    assert ann.client.get("/library/grid", query_string={"day": day}, headers=PARTIAL).status_code == 200


def test_a_star_is_put_and_taken_by_a_piece_and_without_javascript(ann: Person, made: Made) -> None:
    path = f"/library/{made.images[0]}/star"
    star = Page(ann.post(path, partial=True).text).one("button", id=f"star-{made.images[0]}")
    assert star["aria-pressed"] == "true" and "hx-swap-oob" in star.attributes
    assert pictures(Page(ann.client.get("/library?filter=favourites").text)) == [made.images[0]]
    assert ann.post(path).location == f"/library/{made.images[0]}"
    assert pictures(Page(ann.client.get("/library?filter=favourites").text)) == []


def test_one_picture_has_a_page_and_its_facts_as_a_piece(ann: Person, made: Made) -> None:
    path = f"/library/{made.images[0]}"
    whole, piece = ann.client.get(path), ann.client.get(path, headers=PARTIAL)
    assert "<html" in whole.text and "<html" not in piece.text
    for answer in (whole, piece):
        assert "AI-made, IPTC" in answer.text and "64 \N{MULTIPLICATION SIGN} 80" in answer.text
        assert "HX-Request-Type" in answer.headers["Vary"]


def test_a_picture_in_the_trash_is_nowhere(ann: Person, made: Made) -> None:
    with organisation_scope(ann.organisation.id):
        library.trash(public_id=made.images[0])
    assert pictures(Page(ann.client.get("/library").text)) == [made.images[1]]
    for path in ("/media/{}/file", "/media/{}/16.webp", "/api/v1/images/{}", "/generate?like={}"):
        assert ann.client.get(path.format(made.images[0])).status_code == 404


# Files


def row_of(person: Person, image: str) -> Image:
    db.session.rollback()
    with organisation_scope(person.organisation.id):
        return db.session.scalars(db.select(Image).where(Image.public_id == image)).one()


def test_a_file_comes_whole_and_may_be_kept_for_good(ann: Person, made: Made) -> None:
    row = row_of(ann, made.images[0])
    for path in (f"/media/{made.images[0]}/file", f"/api/v1/images/{made.images[0]}/file"):
        answer = ann.client.get(path)
        stored = runtime.storage.open(row.file_key)
        with stored:
            assert answer.data == stored.read()
        assert answer.mimetype == "image/png" and answer.headers["ETag"] == f'"{row.sha256}"'
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert "Cookie" not in answer.vary and "Set-Cookie" not in answer.headers


def test_whatever_is_in_a_file_no_browser_runs_it(ann: Person, made: Made) -> None:
    for path in ("file", "file?download=1", "16.webp"):
        headers = ann.client.get(f"/media/{made.images[0]}/{path}").headers
        assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Content-Type"].startswith("image/")


@pytest.mark.parametrize("path", ["file", "16.webp"])
def test_a_file_that_the_browser_has_is_not_sent_again(ann: Person, made: Made, path: str) -> None:
    address = f"/media/{made.images[0]}/{path}"
    tag = ann.client.get(address).headers["ETag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = ann.client.get(address, headers={"If-None-Match": given})
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)
    assert ann.client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_tag_opens_nothing_to_others(ben: Person, ann: Person, made: Made) -> None:
    tag = ann.client.get(f"/media/{made.images[0]}/file").headers["ETag"]
    assert ben.client.get(f"/media/{made.images[0]}/file", headers={"If-None-Match": tag}).status_code == 404


def test_only_the_head_is_sent_where_only_it_is_asked_for(ann: Person, made: Made) -> None:
    for path in ("file", "16.webp"):
        whole = ann.client.get(f"/media/{made.images[0]}/{path}")
        head = ann.client.head(f"/media/{made.images[0]}/{path}")
        assert head.data == b"" and head.headers["Content-Length"] == str(len(whole.data))
        assert head.headers["ETag"] == whole.headers["ETag"]


def test_a_broken_download_goes_on_where_it_broke_off(ann: Person, made: Made) -> None:
    address = f"/media/{made.images[0]}/file"
    whole = ann.client.get(address)
    part = ann.client.get(address, headers={"Range": "bytes=10-19", "If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.data) == (206, whole.data[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole.data)}"
    changed = ann.client.get(address, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    assert (changed.status_code, changed.data) == (200, whole.data)
    assert ann.client.get(address, headers={"Range": "bytes=999999-"}).status_code == 416


DISPOSITION = re.compile(r"attachment; filename=\"([\w .()+-]+)\"; filename\*=UTF-8''(.*)", re.ASCII)
NAMES = {
    'a "quoted"; name.png': "a%20%22quoted%22%3B%20name.png",
    "line\r\nSet-Cookie: x=y.png": "line%0D%0ASet-Cookie%3A%20x%3Dy.png",
    "../../etc/passwd": "..%2F..%2Fetc%2Fpasswd",
    "🌊 вода ‮gnp.exe": "",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_files_name_cannot_leave_its_header(ann: Person, name: str) -> None:
    """RFC 6266 and 8187; our own names are plain, but what is in the database need not stay so."""
    made = make_job(ann, filename=name)
    answer = ann.client.get(f"/media/{made.images[0]}/file?download=1")
    told = DISPOSITION.fullmatch(answer.headers["Content-Disposition"])
    assert told and not told[1].startswith(".")
    encoded = told[2]
    assert unquote(encoded) == name
    assert encoded.isascii() and not set(encoded) & set(' "\\/;\r\n') and "Set-Cookie" not in answer.headers
    assert NAMES[name] in ("", encoded)
    assert ann.client.get(f"/media/{made.images[0]}/file").headers["Content-Disposition"].startswith("inline;")


@pytest.mark.parametrize(("asked", "given"), [(1, 16), (16, 16), (17, 32), (32, 32), (33, 32), (10**9, 32)])
def test_the_narrowest_preview_that_is_wide_enough_is_sent_made_again_if_it_is_gone(
    ann: Person, made: Made, asked: int, given: int
) -> None:
    row = row_of(ann, made.images[0])
    key = keys.rendition_key(ann.organisation.public_id, ann.user.public_id, row.sha256, given)
    assert not runtime.storage.exists(key)
    for _ in range(2):
        answer = ann.client.get(f"/media/{made.images[0]}/{asked}.webp")
        with Pixels.open(io.BytesIO(answer.data)) as image:
            assert (image.format, image.size) == ("WEBP", (given, given * 80 // 64))
        assert answer.mimetype == "image/webp" and runtime.storage.exists(key)
    assert WIDTHS == (16, 32)


@pytest.mark.parametrize("path", ["/media/{}/16.webp", "/library/{}/download?width=16"])
def test_no_connection_to_the_database_is_held_while_work_on_pixels_waits(
    ann: Person, made: Made, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.session.rollback()
    run, held = runtime.imaging.run, []

    def seen(*args: object, **params: object) -> dict[str, object]:
        held.append(db.engine.pool.checkedout())
        return run(*args, **params)

    monkeypatch.setattr(runtime.imaging, "run", seen)
    assert ann.client.get(path.format(made.images[0])).status_code == 200
    assert held == [0]


def test_a_file_that_is_gone_is_said_to_be_gone(ann: Person, made: Made) -> None:
    runtime.storage.delete(row_of(ann, made.images[0]).file_key)
    for path in ("file", "16.webp"):
        answer = ann.client.get(f"/media/{made.images[0]}/{path}")
        assert answer.status_code == 404 and "<html" in answer.text
        assert "immutable" not in answer.headers["Cache-Control"]


def test_files_lie_in_folders_of_their_organisation_and_person(app: Flask, ann: Person, made: Made) -> None:
    prefix = keys.user_prefix(ann.organisation.public_id, ann.user.public_id)
    found = list(runtime.storage.iter_keys())
    assert len(found) == 2 and all(key.startswith(prefix) for key in found)


def test_the_chooser_does_not_warn_of_an_earlier_picture_that_is_in_the_trash(ann: Person, made: Made) -> None:
    with organisation_scope(ann.organisation.id), unit_of_work() as uow:
        first, second = uow.scalars(select(Image).order_by(Image.id))
        second.near_id = first.id
        earlier = first.public_id

    for verb, warned in (("star", 1), ("trash", 0), ("restore", 1)):
        assert ann.post(f"/library/bulk/{verb}", partial=True, ids=earlier).status_code == 200
        chooser = Page(ann.client.get("/library/picker/pictures", headers=PARTIAL).text)
        assert len(chooser.all("span", class_="tile__near")) == warned


def test_what_still_uses_a_picture_is_counted_as_far_as_it_is_known(
    ann: Person, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_kinds", dict(usage._kinds))
    usage.register("poster")(lambda names: {name: usage.Found(name, "library.detail", {}) for name in names})
    with organisation_scope(ann.organisation.id), unit_of_work() as uow:
        used = uow.scalars(select(Image).order_by(Image.id)).first()
        for n in range(12):
            usage.use(uow, kind="poster", reference=f"poster {n:02}", image_ids=[used.id])

    for known, more in ((20, "7 more"), (12, "7 more"), (11, "others"), (5, "others")):
        monkeypatch.setattr(usage, "MOST_TOLD", known)
        said = ann.post("/library/bulk/trash", partial=True, ids=used.public_id).text
        assert f"poster 03, poster 04 and {more}." in said
        ann.post("/library/bulk/restore", partial=True, ids=used.public_id)


def test_the_page_of_a_picture_shows_few_of_those_made_with_it(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "MOST_SIBLINGS", 3)
    images = make_job(ann, states=("succeeded",) * 5).images

    page = Page(ann.client.get(f"/library/{images[4]}").text)
    strip = [
        link["href"]
        for link in page.all("a")
        if any(each.attributes.get("class") == "filmstrip" for each in link.parents)
    ]
    assert strip == [f"/library/{image}" for image in images[2:]]
    assert len(pictures(Page(ann.client.get(f"/library/{images[4]}/stack").text))) == 5
