"""`POST /images/upload`: what comes in, what is answered, and that nothing is left of what is refused."""

from __future__ import annotations

import io
import warnings
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from flask import Flask
from PIL import Image, ImageChops, ImageOps, ImageStat
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from imagegen.extensions import db, runtime
from imagegen.imaging.formats import FORMATS
from imagegen.models import Image as ImageRow
from imagegen.models import system_scope
from imagegen.web import incoming
from tests.api.conftest import Api, MakeApi
from tests.conftest import MakePerson
from tests.imaging import bad_uploads, specimens
from tests.imaging.bad_uploads import ACCEPTED, REFUSED, SECRETS

SECONDS = 5.0
MEGABYTES = 300
NOTHING = (0, [], [])


@pytest.fixture(scope="session")
def photo() -> bytes:
    return specimens.encoded("jpeg", specimens.scene(640, 480), quality=90)


def send(api: Api, data: bytes, name: str = "sea.jpg") -> TestResponse:
    return api.send("POST", "images/upload", data={"file": (io.BytesIO(data), name)})


def left() -> tuple[int, list[str], list[str]]:
    """What there is of pictures: rows, files, workspaces."""
    db.session.rollback()
    with system_scope():
        rows = db.session.scalar(select(func.count(ImageRow.id))) or 0
    return rows, list(runtime.storage.iter_keys()), runtime.storage.left_workspaces(timedelta(seconds=-60))


def worked(imaging_pool: Path) -> float:
    """Seconds of processor time that this process and the pool have had: a clock would count what others had too."""
    times = psutil.Process().cpu_times()
    found = times.user + times.system
    for process in psutil.process_iter(["cmdline", "cpu_times"]):
        if str(imaging_pool) in " ".join(process.info["cmdline"] or ()):
            found += sum(process.info["cpu_times"][:4])
    return found


def peak(imaging_pool: Path) -> int:
    """The most memory that a child of the pool ever had, in MB, beyond what it had when it was born."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(imaging_pool).encode() in (folder / "cmdline").read_bytes():
                status = (folder / "status").read_text()
                found = max(found, int(status.split("VmHWM:")[1].split()[0]) // 1024)
        except (OSError, IndexError):
            continue
    return found


IDLE = 130
"""MB of a child that has done nothing yet but load its libraries and warm up."""


def test_a_picture_comes_in(api: Api, photo: bytes) -> None:
    answer = send(api, photo, "Launch 404.jpg")

    assert answer.status_code == 201, answer.text
    image = answer.get_json()
    assert answer.headers["Location"] == f"/api/v1/images/{image['id']}"
    assert (image["kind"], image["width"], image["height"]) == ("uploaded", 640, 480)
    assert (image["filename"], image["original_filename"]) == ("launch-404.jpg", "Launch 404.jpg")
    assert (image["mime_type"], image["file_size"]) == ("image/jpeg", len(photo))
    assert sorted(map(int, image["thumbnail_urls"])) == [256, 512, 640]
    assert api.get("images", query_string={"filter": "uploaded"}).get_json()["items"] == [image]
    assert api.get("images", query_string={"q": "404"}).get_json()["items"] == [image]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_good_picture_is_refused_in_words(api: Api, imaging_pool: Path, name: str) -> None:
    bad = REFUSED[name]
    before = worked(imaging_pool)

    answer = send(api, bad.data, bad.name)

    assert worked(imaging_pool) - before < SECONDS
    assert answer.status_code == bad.status, answer.text
    problem = answer.get_json()
    assert bad.word in problem["detail"]
    assert problem["detail"].endswith(".")
    assert problem["advice"].endswith(".")
    assert left() == NOTHING
    assert peak(imaging_pool) < IDLE + MEGABYTES


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_odd_but_a_picture_is_taken_and_freed_of_all_else(api: Api, imaging_pool: Path, name: str) -> None:
    before = worked(imaging_pool)

    answer = send(api, ACCEPTED[name])

    assert worked(imaging_pool) - before < SECONDS
    assert answer.status_code == 201, answer.text
    image = answer.get_json()
    kept = api.get(image["url"]).data
    assert not [secret for secret in SECRETS if secret in kept]
    assert first_frame(kept) == first_frame(ACCEPTED[name])
    assert thumbnail(api, image).size == (256, 256)
    assert peak(imaging_pool) < IDLE + MEGABYTES


def first_frame(data: bytes) -> bytes:
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as image:
        return image.convert("RGBA").tobytes()


def thumbnail(api: Api, image: dict[str, object], width: int = 256) -> Image.Image:
    answer = api.get(f"images/{image['id']}/thumbnail", query_string={"width": width})
    assert answer.mimetype == "image/webp"
    found = Image.open(io.BytesIO(answer.data))
    found.load()
    return found


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two small pictures' channels, of 255."""
    small = [image.convert("RGB").resize((24, 24)) for image in (one, other)]
    return max(ImageStat.Stat(ImageChops.difference(*small)).mean)


def talkative(format: str, upright: Image.Image) -> bytes:
    """The picture, turned where the format can say so, with place and words."""
    if format == "gif":
        return specimens.encoded("gif", upright, comment=b"SECRETWORD")
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    words = bad_uploads.exif_with_place(orientation=6)
    return specimens.encoded(format, turned, quality=90, exif=words, xmp=b"<x>SECRETWORD</x>")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("format", sorted(FORMATS))
def test_every_format_is_taken_upright_right_in_colour_and_without_its_place(api: Api, format: str) -> None:
    upright = specimens.scene(480, 640)

    answer = send(api, talkative(format, upright))

    assert answer.status_code == 201, answer.text
    image = answer.get_json()
    assert (image["width"], image["height"], image["mime_type"]) == (480, 640, FORMATS[format].mime_type)
    assert difference(thumbnail(api, image), upright) < 6
    download = api.get(image["url"], query_string={"download": "1"})
    name = image["filename"]
    assert download.headers["Content-Disposition"] == f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}"
    assert download.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in download.headers["Content-Security-Policy"]
    assert b"SECRETWORD" not in download.data
    with Image.open(io.BytesIO(download.data)) as kept:
        assert not kept.getexif().get_ifd(0x8825)
        assert difference(ImageOps.exif_transpose(kept), upright) < 6


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("mode", ["CMYK", "P", "RGBA", "LA", "1"])
def test_every_kind_of_colour_comes_out_as_it_is_seen(api: Api, mode: str) -> None:
    seen = specimens.scene(480, 480, mode)

    image = send(api, specimens.encoded("jpeg" if mode == "CMYK" else "png", seen)).get_json()

    found = thumbnail(api, image)
    assert ("A" in mode) == (found.mode == "RGBA")
    if mode != "CMYK":
        over = Image.new("RGBA", seen.size, "white")
        over.alpha_composite(seen.convert("RGBA"))
        under = Image.new("RGBA", found.size, "white")
        under.alpha_composite(found.convert("RGBA"))
        assert difference(under, over) < 6


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("width", "height", "widths"), [(5_000, 2_500, [256, 512, 1024, 4096]), (500, 16_384, [125])]
)
def test_of_a_large_picture_there_is_a_working_size(api: Api, width: int, height: int, widths: list[int]) -> None:
    answer = send(api, specimens.encoded("jpeg", specimens.scene(width, height), quality=50))

    image = answer.get_json()
    assert (image["width"], image["height"]) == (width, height)
    assert sorted(map(int, image["thumbnail_urls"])) == widths
    assert max(thumbnail(api, image, widths[-1]).size) == 4_096


def test_the_same_picture_is_kept_once_and_shown_once(api: Api, photo: bytes) -> None:
    first = send(api, photo, "one.jpg").get_json()

    for again in (photo, photo + b"tail"):
        answer = send(api, again, "two.jpg")
        assert (answer.status_code, answer.get_json()["id"]) == (200, first["id"])
    assert left()[0] == 1


def test_what_differs_in_words_alone_is_the_same_picture(api: Api) -> None:
    scene = specimens.scene(480, 480)
    words = specimens.chunk(b"tEXt", b"Comment\0by Ann")

    plain = send(api, specimens.png_with(image=scene))
    talked = send(api, specimens.png_with(words, image=scene))

    assert (plain.status_code, talked.status_code) == (201, 200)
    assert plain.get_json()["id"] == talked.get_json()["id"]


def test_what_lies_in_the_trash_comes_back(api: Api, photo: bytes) -> None:
    image = send(api, photo).get_json()
    assert api.send("DELETE", f"images/{image['id']}").status_code == 204

    answer = send(api, photo)

    assert (answer.status_code, answer.get_json()["id"]) == (200, image["id"])
    assert answer.get_json()["deleted_at"] is None
    assert len(api.get("images").get_json()["items"]) == 1


def test_another_organisation_has_its_own(api: Api, other: Api, photo: bytes) -> None:
    mine, theirs = send(api, photo), send(other, photo)

    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.get_json()["id"] != theirs.get_json()["id"]


def test_a_made_picture_that_is_brought_back_is_known(api: Api, work) -> None:
    job = api.make()
    work()
    made = api.get(f"jobs/{job['id']}").get_json()["images"][0]

    answer = send(api, api.get(made["url"]).data)

    assert (answer.status_code, answer.get_json()["id"]) == (200, made["id"])


NAMES = {
    "../../x.jpg": ("x.jpg", "x.jpg"),
    "CON.png": ("CON.png", "picture-con.jpg"),
    "\u202egpj.exe": ("gpj.exe", "gpj.jpg"),
    "Ärger über Öl.jpeg": ("Ärger über Öl.jpeg", "arger-uber-ol.jpg"),
    "海.jpg": ("海.jpg", "picture.jpg"),
    "x" * 300 + ".jpg": ("x" * 251 + ".jpg", "x" * 60 + ".jpg"),
    "<img src=x onerror=alert(1)>.jpg": ("<img src=x onerror=alert(1)>.jpg", "img-src-x-onerror-alert-1.jpg"),
    "launch-000404.jpg": ("launch-000404.jpg", "launch-000404.jpg"),
}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", NAMES)
def test_b5_a_name_is_shown_and_nothing_is_named_by_it(api: Api, photo: bytes, name: str) -> None:
    image = send(api, photo, name).get_json()

    assert (image["original_filename"], image["filename"]) == NAMES[name]
    keys = left()[1]
    assert len(keys) == 4
    assert all(image["sha256"] in key for key in keys)


def form(*parts: tuple[str, str | None, bytes], boundary: bytes = b"xXx") -> bytes:
    """A multipart body, written by hand."""
    body = b""
    for name, filename, data in parts:
        said = f'; filename="{filename}"' if filename is not None else ""
        head = f'Content-Disposition: form-data; name="{name}"{said}\r\n\r\n'.encode()
        body += b"--" + boundary + b"\r\n" + head + data + b"\r\n"
    return body + b"--" + boundary + b"--\r\n"


FORM = "multipart/form-data; boundary=xXx"


def bodies(photo: bytes) -> dict[str, tuple[bytes, str, int]]:
    file = ("file", "sea.jpg", photo)
    return {
        "10,485,761 bytes": (form(("file", "x.jpg", bytes((10 << 20) + 1))), FORM, 413),
        "1001 parts": (form(*[("word", None, b"x")] * 1_000, file), FORM, 413),
        "two files": (form(file, file), FORM, 400),
        "no file": (form(("word", None, b"x")), FORM, 400),
        "no part": (form(), FORM, 400),
        "text for a file": (form(("file", None, b"x")), FORM, 400),
        "a file elsewhere": (form(("picture", "sea.jpg", photo)), FORM, 400),
        "long words": (form(("word", None, b"x" * 100_000), file), FORM, 413),
        "a long head": (form(("word" * 100_000, None, b"x"), file), FORM, 413),
        "no boundary": (form(file), "multipart/form-data", 415),
        "another boundary": (form(file), "multipart/form-data; boundary=yYy", 400),
        "not to its end": (form(file)[:-7], FORM, 400),
        "no name": (form(file).replace(b'; name="file"', b""), FORM, 400),
        "the file itself": (photo, "image/jpeg", 415),
        "JSON": (b"{}", "application/json", 415),
        "nothing": (b"", "", 400),
    }


@pytest.mark.databases("sqlite")
def test_u35_a_body_that_is_not_one_file_is_refused_in_words(api: Api, photo: bytes) -> None:
    for name, (body, content_type, status) in bodies(photo).items():
        answer = api.send("POST", "images/upload", data=body, headers={"Content-Type": content_type})
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), (name, answer.text)
        assert answer.get_json()["detail"].endswith("."), name
        assert left() == NOTHING, name


@pytest.mark.databases("sqlite")
def test_the_largest_file_is_taken_as_far_as_its_bytes_go(api: Api, photo: bytes) -> None:
    whole = photo + bytes((10 << 20) - len(photo))
    assert send(api, whole).status_code == 201


@pytest.mark.databases("sqlite")
def test_a_viewer_may_not(make_person: MakePerson, make_api: MakeApi, ann: object, photo: bytes) -> None:
    viewer = make_api(make_person("vic@one.example", "One", role="viewer"))
    assert send(viewer, photo).status_code == 403
    assert left() == NOTHING


@pytest.mark.databases("sqlite")
def test_who_brings_too_much_is_told_to_wait(api: Api, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.services.uploads.PACE.amount", 1)
    assert send(api, photo).status_code == 201

    answer = send(api, photo)

    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 61


@pytest.mark.databases("sqlite")
def test_a_disk_that_is_full_is_said_and_leaves_nothing(
    api: Api, app: Flask, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "_pieces", lambda stream: iter(_full()))
    answer = send(api, photo)
    assert answer.status_code == 507
    assert left() == NOTHING


def _full():
    raise OSError(28, "No space left on device")
    yield b""
