"""`make run` as a person meets it: the whole studio, started, hurt and stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from imagegen.settings import PROJECT_ROOT
from tests.fakes.openai_server import OpenAIServer
from tests.running_studio import Studio, title_of
from tests.waiting import eventually

EMAIL, PASSWORD = "owner@example.org", "a long enough password"


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def studio(tmp_path: Path, openai: OpenAIServer) -> Iterator[Studio]:
    studio = Studio(
        tmp_path,
        STUDIO_ADMIN_EMAIL=EMAIL,
        STUDIO_ADMIN_PASSWORD=PASSWORD,
        OPENAI_API_KEY=openai.key,
        OPENAI_BASE_URL=openai.base_url,
    )
    yield studio
    studio.end()


def test_a_new_studio_prints_its_code_and_one_address_that_answers(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    try:
        printed = studio.start()
        code = (tmp_path / "data" / "setup-code").read_text().strip()
        assert printed == [
            f"Set-up code, asked for once on the first visit: {code}",
            f"Imagegen Studio is ready: {studio.url}",
        ]
        assert requests.get(f"{studio.url}/healthz", timeout=10).status_code == 200
    finally:
        studio.end()


def test_whoever_dies_is_back_soon_and_under_its_name(studio: Studio) -> None:
    studio.start()
    for title, count in (("imagegen-web", 2), ("imagegen-worker", 2), ("imagegen-scheduler", 1)):
        before = eventually(lambda t=title, c=count: len(found := studio.processes(t)) == c and found)  # type: ignore[misc]
        before[0].kill()
        gone = before[0].pid
        eventually(
            lambda t=title, c=count, g=gone: (  # type: ignore[misc]
                len(found := studio.processes(t)) == c and g not in {process.pid for process in found}
            ),
            within=5,
        )
    assert requests.get(f"{studio.url}/healthz", timeout=5).status_code == 200


def test_a_killed_redis_is_back_and_the_studio_goes_on(studio: Studio) -> None:
    studio.start()
    eventually(lambda: requests.get(f"{studio.url}/readyz", timeout=10).status_code == 200)
    (server,) = [found for found in studio.processes() if "valkey-server" in title_of(found)]
    server.kill()
    eventually(lambda: requests.get(f"{studio.url}/readyz", timeout=10).status_code == 200)


def test_a_second_start_on_the_same_folder_says_so_and_stops(studio: Studio) -> None:
    studio.start()
    assert studio.process is not None
    second = subprocess.run(
        [sys.executable, "-m", "imagegen.supervisor"],
        cwd=PROJECT_ROOT,
        env={**studio.environ, "PORT": "1"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr == (
        f"Imagegen Studio is running on the data folder {studio.folder}/data already "
        f"(process {studio.process.pid}).\n"
    )
    assert studio.process.poll() is None


def test_ctrl_c_with_an_open_page_and_a_call_under_way_ends_everything_in_time(
    studio: Studio, openai: OpenAIServer
) -> None:
    openai.script(latency=60)
    studio.start()
    api = requests.Session()
    api.headers["Authorization"] = f"Bearer {studio.token(EMAIL)}"
    wish = {"prompt": "a lighthouse in fog", "provider": "openai"}
    answer = api.post(f"{studio.url}/api/v1/images/generate", json=wish, timeout=20)
    assert answer.status_code == 202, answer.text
    events = f"{studio.url}/api/v1/jobs/{answer.json()['id']}/events"
    with api.get(events, stream=True, timeout=20):
        eventually(lambda: openai.most_busy)
        everybody = studio.processes()
        assert len(everybody) >= 6
        assert studio.process is not None
        began = time.monotonic()
        studio.process.send_signal(signal.SIGINT)
        studio.process.communicate(timeout=12)
        assert time.monotonic() - began < 8
    assert studio.process.returncode == 0
    eventually(lambda: not any(process.is_running() for process in everybody), within=1)
    assert "Traceback" not in studio.log()
    assert [path.name for path in studio.data.glob("studio.db*")] == ["studio.db"], "it is one whole file again"


def test_the_second_start_has_nothing_to_migrate(studio: Studio) -> None:
    for migrates in (True, False):
        studio.start()
        assert studio.process is not None
        studio.process.terminate()
        studio.process.communicate(timeout=12)
        assert ("alembic" in studio.log()) is migrates
        (studio.folder / "log").write_text("")
