"""A running studio with a provider that takes its time, and jobs of any size for it, followed to their ends."""

from __future__ import annotations

import http.client
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
from flask import Flask
from sqlalchemy import select

from bench.service import Service
from imagegen.app import create_app
from imagegen.engine import dispatch
from imagegen.extensions import db
from imagegen.models import User, organisation_scope
from imagegen.services import accounts, generation
from imagegen.services.generation import GenerationRequest
from imagegen.settings import Settings
from imagegen.supervisor import redis_server
from tests.running_studio import Studio, json_of

EMAIL, PASSWORD = "bench@example.org", "a long enough password"
MODEL = {"prompt": "a lighthouse in fog", "provider": "openai", "model": "gpt-image-2", "size": "1024x1024"}
ENDS = frozenset({"job.succeeded", "job.partial", "job.failed", "job.canceled"})
MOST_BY_FORM = generation.MOST_VARIANTS


@dataclass(frozen=True, slots=True)
class Order:
    """A job that was asked for, and when, by the machine's monotonic clock."""

    job_id: str
    asked_at: float


@contextmanager
def inside(studio: Studio) -> Iterator[Flask]:
    """Enter an app in this process that works with a running studio's database and Redis."""
    with patch.dict(os.environ, studio.environ, clear=True):
        settings = Settings.load(None)
    app = create_app(settings.model_copy(update={"redis_url": f"unix://{redis_server.socket_path(studio.data)}"}))
    with app.app_context():
        yield app


class Desk:
    """Takes orders to a studio."""

    def __init__(self, studio: Studio, service: Service, app: Flask) -> None:
        self.studio = studio
        self.service = service
        self.app = app
        self._netloc = urlsplit(studio.url).netloc
        self._headers = {"Authorization": f"Bearer {studio.token(EMAIL)}"}
        self._session = requests.Session()
        self._session.headers.update(self._headers)

    def ask(self, shots: int) -> Order:
        """Ask for a job of so many pictures: by the API, as anybody would, or in its own words where that is more."""
        asked_at = time.monotonic()
        if shots > MOST_BY_FORM:
            return Order(self._large(shots), asked_at)
        url = f"{self.studio.url}/api/v1/images/generate"
        answer = json_of(self._session.post(url, json={**MODEL, "n": shots}, timeout=30))
        return Order(answer["id"], asked_at)

    def _large(self, shots: int) -> str:
        """Write a job that is larger than a form allows with the verb that writes all of them."""
        request = GenerationRequest.model_validate(MODEL)
        person = db.session.scalars(select(User).where(User.email == EMAIL)).one()
        membership = accounts.membership_of(user_id=person.id, organisation_id=None)
        assert membership is not None
        with organisation_scope(membership.organisation_id):
            plan = generation.plan(request)
            job = generation.create_job(
                organisation_id=membership.organisation_id,
                user_id=person.id,
                request=request,
                plan=replace(plan, shots=plan.shots * shots),
            )
        dispatch.send(f"{generation.WAKE}-{job.public_id}", shots=shots)
        return job.public_id

    def seconds(self, order: Order) -> float:
        """Follow the job's events, and return how long it took until a listener heard that all its pictures exist."""
        heard_at, type_ = self._end_of(order)
        assert type_ == "job.succeeded", f"the job ended as {type_}: {self.studio.log()[-2000:]}"
        return heard_at - order.asked_at

    def _end_of(self, order: Order) -> tuple[float, str]:
        connection = http.client.HTTPConnection(self._netloc, timeout=120)
        connection.request("GET", f"/api/v1/jobs/{order.job_id}/events", headers=self._headers)
        with connection.getresponse() as answer:
            assert answer.status == 200, answer.read()
            while line := answer.readline():
                if line.startswith(b"data: {"):
                    type_ = json.loads(line.removeprefix(b"data: "))["type"]
                    if type_ in ENDS:
                        return time.monotonic(), type_
        raise AssertionError("the job's stream ended before the job")

    def cancel(self, order: Order) -> None:
        """Take back what is left of a job, and wait until the last of its calls has come home."""
        answer = self._session.post(f"{self.studio.url}/api/v1/jobs/{order.job_id}/cancel", timeout=30)
        if answer.status_code != 409:  # it has ended
            answer.raise_for_status()
        self._end_of(order)

    def running(self, order: Order) -> int:
        """Return how many pictures of a job are being drawn."""
        job = json_of(self._session.get(f"{self.studio.url}/api/v1/jobs/{order.job_id}", timeout=30))
        return sum(shot["status"] == "running" for shot in job["shots"])


@contextmanager
def open_desk(*, latency: float, workers: int = 2, slots: int = 16) -> Iterator[Desk]:
    """Start a provider that takes `latency` seconds for 1.8 MB, and a studio whose first call has been made."""
    with tempfile.TemporaryDirectory(prefix="igs-") as name, Service(latency=0, photo=True) as service:
        environment = {
            "STUDIO_ADMIN_EMAIL": EMAIL,
            "STUDIO_ADMIN_PASSWORD": PASSWORD,
            "OPENAI_API_KEY": service.key,
            "OPENAI_BASE_URL": service.base_url,
            "WORKERS": str(workers),
            "SHOTS_PER_WORKER": str(slots),
        }
        with Studio(Path(name), **environment) as studio, inside(studio) as app:
            desk = Desk(studio, service, app)
            desk.seconds(desk.ask(MOST_BY_FORM))
            service.order(latency=latency)
            yield desk
