"""Draw every page in three widths and both colour schemes into screenshots/, and two of them into docs/img.

A studio of its own on a temporary folder is set up, filled with believable work and looked at in a real browser.
Run by `make screenshots`, which finds the browser; `ARGS="--only generate,library"` draws some.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyvips
import requests
from playwright.sync_api import Browser, Page, StorageState

from tests.browser.windows import Scheme, chromium
from tests.fakes.openai_server import OpenAIServer
from tests.running_studio import Studio, json_of
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "screenshots"
README = ROOT / "docs" / "img"
WIDTHS = {360: 780, 768: 1024, 1440: 900}
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
IN_README = {"generate-local-1440-light": "create-light", "library-1440-dark": "library-dark"}
PICTURES_TO_COME = """() => [...document.images].filter((image) => {
  const {top, left} = image.getBoundingClientRect();
  return !image.complete && image.checkVisibility() && top < innerHeight && left < innerWidth;
}).length"""
WHOLE_HEIGHT = "() => document.documentElement.scrollHeight"
LARGEST_IN_README = 400_000
EMAIL, PASSWORD = "mara@northlight.example", "a long enough password"

WISHES: tuple[dict[str, Any], ...] = (
    {"prompt": "marbled silver ink on paper, calm, studio light", "aspect_ratio": "1:1", "n": 2},
    {"prompt": "flowing marble in teal and white, fresh", "aspect_ratio": "16:9", "n": 2},
    {"prompt": "arches in terracotta, cream and mustard, vintage grain", "aspect_ratio": "4:5", "n": 4},
    {"prompt": "aurora ribbons in deep navy and cyan, luminous", "aspect_ratio": "9:16", "n": 3},
    {"prompt": "layered waves in lilac and petrol, paper cut", "aspect_ratio": "1:1", "n": 4},
    {"prompt": "lacquered spheres, amber and coral, soft shadow, playful", "aspect_ratio": "4:5", "n": 2},
    {"prompt": "sand dunes in warm evening light, soft shadow", "aspect_ratio": "16:9", "n": 4},
)
LAST_WISH: dict[str, Any] = {
    "prompt": "layered paper mountains at dusk, violet and amber, calm, room for a headline at the top",
    "aspect_ratio": "4:5",
    "n": 4,
}
REFUSED: dict[str, Any] = {"prompt": "a duel at dawn, two figures in the fog", "provider": "openai", "n": 2}
SLOW: dict[str, Any] = {"prompt": "a heron in the reeds, first light", "provider": "openai", "n": 4}


@dataclass(frozen=True)
class Shown:
    """A page to draw: where it is, who sees it, and what to do there first."""

    path: str
    anonymous: bool = False
    prepare: Callable[[Page], None] = lambda page: None
    whole: bool = True


class Seed:
    """Fills a studio through its API, one job after the other, so that their order is always the same."""

    def __init__(self, studio: Studio, service: OpenAIServer) -> None:
        self._url = studio.url
        self._service = service
        self._api = requests.Session()
        self._api.headers["Authorization"] = f"Bearer {studio.token(EMAIL)}"

    def ask(self, wish: dict[str, Any]) -> Any:
        """Return a job that has just been asked for."""
        body = {"provider": "local", "seed": 7} | wish if "provider" not in wish else wish
        return json_of(self._api.post(f"{self._url}/api/v1/images/generate", json=body, timeout=30))

    def finished(self, wish: dict[str, Any]) -> Any:
        """Return a job that has ended."""
        made = self.ask(wish)

        def ended() -> Any:
            job = json_of(self._api.get(f"{self._url}/api/v1/jobs/{made['id']}", timeout=30))
            return job if job["finished_at"] else None

        return eventually(ended, within=60)

    def fill(self) -> dict[str, Any]:
        """Make everything; return the jobs that pages are shown of."""
        for wish in WISHES[:4]:
            self.finished(wish)
        self._service.script("400_moderation", "400_moderation")
        refused = self.finished(REFUSED)
        for wish in WISHES[4:]:
            self.finished(wish)
        self._service.script(*["hang"] * SLOW["n"])
        running = self.ask(SLOW)
        eventually(lambda: self._service.most_busy >= SLOW["n"])
        return {"refused": refused, "running": running, "done": self.finished(LAST_WISH)}


def pages(jobs: dict[str, Any]) -> dict[str, Shown]:
    """Return what is drawn once the studio is full, by the files' names."""
    image = jobs["done"]["images"][0]["id"]
    done = f"/jobs/{jobs['done']['id']}"
    return {
        "generate": Shown("/generate", whole=False),
        "generate-local": Shown("/generate?model=local:local-studio", whole=False),
        "generate-models": Shown("/generate", prepare=_open_models, whole=False),
        "generate-options": Shown("/generate?model=openai:gpt-image-2", prepare=_open_options, whole=False),
        "jobs": Shown("/jobs"),
        "job": Shown(done),
        "job-running": Shown(f"/jobs/{jobs['running']['id']}"),
        "job-refused": Shown(f"/jobs/{jobs['refused']['id']}"),
        "library": Shown("/library", whole=False),
        "library-selected": Shown("/library", prepare=_select_three, whole=False),
        "library-detail": Shown("/library", prepare=_open_first, whole=False),
        "library-filters": Shown("/library", prepare=_open_filters, whole=False),
        "library-search": Shown("/library?q=paper+mountains&orientation=portrait", whole=False),
        "library-trash": Shown("/library?filter=trash", prepare=_throw_one_away, whole=False),
        "library-shelves": Shown("/library/shelves"),
        "upload": Shown("/library", prepare=_upload_two, whole=False),
        "library-empty": Shown("/library?q=nothing+is+called+this"),
        "picture": Shown(f"/library/{image}"),
        "lightbox": Shown(done, prepare=_open_lightbox, whole=False),
        "account-menu": Shown("/jobs", prepare=_open_account, whole=False),
        "palette": Shown("/jobs", prepare=_open_palette, whole=False),
        "profile": Shown("/settings/profile"),
        "password": Shown("/settings/password"),
        "sessions": Shown("/settings/sessions"),
        "tokens": Shown("/settings/tokens"),
        "usage": Shown("/usage"),
        "people": Shown("/admin/people"),
        "invitations": Shown("/admin/invitations"),
        "organisation": Shown("/admin/organisation"),
        "budgets": Shown("/admin/budgets"),
        "audit": Shown("/admin/audit"),
        "operators": Shown("/admin/operators"),
        "organisations": Shown("/admin/organisations"),
        "prices": Shown("/admin/prices"),
        "providers": Shown("/admin/providers"),
        "installation-providers": Shown("/admin/installation/providers"),
        "queue": Shown("/admin/queue"),
        "cleaning": Shown("/admin/cleaning"),
        "api": Shown("/api/v1/docs", whole=False),
        "not-found": Shown("/nothing-here"),
        "sign-in": Shown("/sign-in", anonymous=True),
    }


def _select_three(page: Page) -> None:
    for nth in (0, 2, 3):
        page.locator("#grid [name=ids]").nth(nth).check(force=True)


def _open_first(page: Page) -> None:
    page.locator("#grid .tile__open").first.click()
    page.locator("#drawer .facts-panel, #lightbox[open]").first.wait_for()


def _open_filters(page: Page) -> None:
    page.locator("[popovertarget=wish]").click()


def _throw_one_away(page: Page) -> None:
    if page.locator("#grid .thumb").count():
        return
    page.goto("/library")
    page.locator("#grid .tile__open").last.focus()
    page.keyboard.press("Delete")
    page.locator(".toast").wait_for()
    page.goto("/library?filter=trash")


def _upload_two(page: Page) -> None:
    picture: bytes = pyvips.Image.gaussnoise(640, 480).cast("uchar").pngsave_buffer()
    files = [("harbour.png", picture), ("notes.png", b"no picture at all")]
    page.locator("#upload").set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    )
    page.locator(".tray__line:not([data-state=waiting], [data-state=sending], [data-state=checking])").nth(
        1
    ).wait_for()


def _open_models(page: Page) -> None:
    if page.locator("[popovertarget=options]").first.is_visible():
        page.locator("[popovertarget=options]").first.click()
    page.locator("#model").click()


def _open_options(page: Page) -> None:
    if page.locator("[popovertarget=options]").first.is_visible():
        page.locator("[popovertarget=options]").first.click()
    page.locator("#more summary").click()


def _open_lightbox(page: Page) -> None:
    page.get_by_role("link", name="Open picture 1 of").click()
    page.locator("#lightbox [data-large][src*='/file']").wait_for()


def _open_account(page: Page) -> None:
    page.locator("button.account").click()


def _open_palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("dunes")


@dataclass(frozen=True)
class Photographer:
    """Draws pages of one studio."""

    browser: Browser
    url: str
    signed_in: StorageState | None = None

    def draw(self, name: str, shown: Shown) -> None:
        """Write one page in every width and scheme."""
        for scheme in SCHEMES:
            for width, height in WIDTHS.items():
                context = self.browser.new_context(
                    base_url=self.url,
                    storage_state=None if shown.anonymous else self.signed_in,
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    reduced_motion="reduce",
                )
                page = context.new_page()
                # A page that is live never falls silent: its stream stays open.
                page.goto(shown.path, wait_until="load")
                shown.prepare(page)
                if shown.whole:
                    # What sticks to the window's edge belongs at the end of the picture, not into its middle.
                    page.set_viewport_size({"width": width, "height": max(height, page.evaluate(WHOLE_HEIGHT))})
                _wait_for_pictures(page)
                page.screenshot(path=OUT / f"{name}-{width}-{scheme}.png")
                context.close()


def _wait_for_pictures(page: Page) -> None:
    """Wait until every picture in sight has been decoded, and what fades has faded."""
    eventually(lambda: page.evaluate(PICTURES_TO_COME) == 0)
    page.wait_for_timeout(250)


def _set_up(page: Page, studio: Studio) -> StorageState:
    page.goto("/setup")
    answers = {
        "Set-up code": studio.setup_code,
        "Organisation": "Northlight",
        "Your name": "Mara Lindqvist",
        "E-mail": EMAIL,
        "Password": PASSWORD,
    }
    for label, answer in answers.items():
        page.get_by_label(label).fill(answer)
    page.get_by_role("button", name="Open the studio").click()
    page.wait_for_url("**/generate")
    return page.context.storage_state()


def _shrink(source: Path, target: Path) -> None:
    """Write `source` as a PNG with as many colours as fit into the largest size for the README."""
    for depth in (
        {},
        {"palette": True, "Q": 95},
        {"palette": True, "Q": 80, "dither": 0.6},
        {"palette": True, "Q": 60},
    ):
        data: bytes = pyvips.Image.new_from_file(str(source)).pngsave_buffer(compression=9, effort=10, **depth)
        if len(data) <= LARGEST_IN_README:
            break
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def main() -> None:
    """Set a studio up, fill it, and draw it."""
    parser = argparse.ArgumentParser(description="Draw every page into screenshots/.")
    parser.add_argument("--only", default="", help="names of pages, separated by commas")
    only = [name for name in parser.parse_args().only.split(",") if name]

    def wanted(name: str) -> bool:
        return not only or name in only

    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, OpenAIServer() as service, chromium() as browser:
        environment = {"OPENAI_API_KEY": service.key, "OPENAI_BASE_URL": service.base_url}
        with Studio(Path(folder), **environment, PROVIDER_TIMEOUT_SECONDS="3600") as studio:
            if wanted("set-up"):
                Photographer(browser, studio.url).draw("set-up", Shown("/setup"))
            signed_in = _set_up(browser.new_page(base_url=studio.url), studio)
            photographer = Photographer(browser, studio.url, signed_in)
            if wanted("generate-first"):
                photographer.draw("generate-first", Shown("/generate", whole=False))
            for name, shown in pages(Seed(studio, service).fill()).items():
                if wanted(name):
                    photographer.draw(name, shown)
    for name, target in IN_README.items():
        if (source := OUT / f"{name}.png").exists():
            _shrink(source, README / f"{target}.png")
    sys.stdout.write(f"{len(list(OUT.glob('*.png')))} pictures in {OUT}\n")


if __name__ == "__main__":
    main()
