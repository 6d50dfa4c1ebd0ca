"""Every route, everybody: who gets an answer, who is told to sign in, who hears no, who hears of nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update
from werkzeug.test import TestResponse

from imagegen.core.clock import now
from imagegen.extensions import db
from imagegen.models import ApiToken, Membership, Session, User, organisation_scope, unit_of_work
from imagegen.models.budgets import Per
from imagegen.services import budgets, invitations, library, schedules
from imagegen.services.audit import Actor
from imagegen.services.cleaning import reports
from imagegen.services.generation import GenerationRequest
from imagegen.services.library import collections as library_collections
from imagegen.services.library import searches as library_searches
from imagegen.services.library import tags as library_tags
from imagegen.services.schedules import When
from tests.blueprints.access_table import CALLS, GONE, MAY, ROLES, SCOPES, Call
from tests.conftest import MakePerson, Person, csrf_of
from tests.web.rows import make_job

YES, SIGN_IN, NO, NOTHING = "yes", "sign in", "no", "nothing there"
CHALLENGE = 'Bearer realm="Imagegen Studio"'


def test_every_route_stands_in_the_table_and_says_what_it_takes(app: Flask) -> None:
    routes = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert routes == set(CALLS)
    assert not [endpoint for endpoint in routes if not hasattr(app.view_functions[endpoint], "access")]
    several = [rule.endpoint for rule in app.url_map.iter_rules() if len(methods(rule)) != 1]
    assert not several, "a route that reads and writes says only once what it takes"


def methods(rule: Any) -> set[str]:
    return rule.methods - {"HEAD", "OPTIONS"}


@pytest.fixture
def settings_values() -> dict[str, object]:
    """Nobody listens where keys are tested: a test of a key asks nobody outside."""
    return {"openai_base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture
def things(ann: Person, eve: Person) -> dict[str, str]:
    """What belongs to Ann's organisation, or to Ann, by the names that the table uses."""
    with organisation_scope(ann.organisation.id):
        by = Actor(user_id=ann.user.id, organisation_id=ann.organisation.id, role="owner")
        invitation = invitations.invite(by=by, email="guest@one.example", role="viewer")
        here = ann.organisation.id
        budget, old_budget = (
            budgets.set_budget(by=by, organisation_id=here, per=per, cap=1_000_000_000, hard=False) for per in Per
        )
    done, unknown = make_job(ann), make_job(ann, states=("unknown",))
    ann.token("read")
    request = GenerationRequest(prompt="a wave", provider="local")
    with organisation_scope(ann.organisation.id):
        mine = {"organisation_id": ann.organisation.id, "user_id": ann.user.id, "request": request}
        schedule, old_schedule = (schedules.create(**mine, when=When(cron="0 9 * * *")) for _ in range(2))
        ids = [make_job(ann).images[0] for _ in range(2)]
        library.trash(public_id=ids[1])
        library.tag_all(public_ids=ids[:1], names=["Waves", "Dusk", "Hills"])
        tag, old_tag, third_tag = (row.public_id for row in library_tags.all_tags())
        whose = {"organisation_id": ann.organisation.id, "user_id": ann.user.id}
        collection, old_collection, third_collection = (
            library_collections.make(**whose, name=name) for name in ("One", "Two", "Three")
        )
        search, old_search = (
            library_searches.save(**whose, name=name, wish=library.Wish(q="waves")) for name in ("Waves", "Hills")
        )
    return {
        "old_image": ids[0],
        "trashed_image": ids[1],
        "tag": tag,
        "old_tag": old_tag,
        "third_tag": third_tag,
        "collection": collection.public_id,
        "old_collection": old_collection.public_id,
        "third_collection": third_collection.public_id,
        "search": search.public_id,
        "old_search": old_search.public_id,
        "schedule": schedule.public_id,
        "old_schedule": old_schedule.public_id,
        "job": done.job,
        "image": done.images[0],
        "running": make_job(ann, states=("running", "waiting")).job,
        "failed": make_job(ann, states=("failed",)).job,
        "ended": make_job(ann, states=("failed",)).job,
        "forgotten": make_job(ann, states=("failed",)).job,
        "refused": make_job(ann, states=("failed",)).job,
        "unknown": unknown.job,
        "shot": unknown.shots[0],
        "person": eve.user.public_id,
        "organisation": ann.organisation.public_id,
        "invitation": invitation.public_id,
        "budget": budget.public_id,
        "old_budget": old_budget.public_id,
        "round": reports.ask(by=by, dry_run=True),
        "token": db.session.scalars(select(ApiToken.public_id)).one(),
        "session": db.session.scalars(select(Session.public_id).where(Session.user_id == ann.user.id)).one(),
    }


class Caller:
    """Somebody who calls every route and notes what comes of it."""

    def __init__(self, app: Flask, client: FlaskClient, headers: dict[str, str] | None = None) -> None:
        self._methods = {rule.endpoint: methods(rule).pop() for rule in app.url_map.iter_rules()}
        self._client = client
        self._headers = headers or {}

    def outcomes(self, calls: dict[str, Call], things: dict[str, str]) -> dict[str, str]:
        return {endpoint: self._outcome(endpoint, call, things) for endpoint, call in calls.items()}

    def _outcome(self, endpoint: str, call: Call, things: dict[str, str]) -> str:
        form: dict[str, Any] = {name: value.format(**things) for name, value in call.form.items()}
        if call.file is not None:
            form["file"] = (BytesIO(call.file), "waves.png")
        method = self._methods[endpoint]
        if method == "GET" or call.json is not None:
            form = {}
        response = self._client.open(
            call.path.format(**things), method=method, headers=self._headers, data=form or None, json=call.json
        )
        response.close()
        return outcome(response)


def outcome(response: TestResponse) -> str:
    """Return what an answer comes down to; what breaks is told as it is."""
    status, api = response.status_code, response.request.path.startswith("/api/")
    if status == 302 and response.location.startswith("/sign-in?next="):
        return SIGN_IN
    if status >= 400 and api:
        assert response.mimetype == "application/problem+json"
    if status == 401:
        assert response.headers.get("WWW-Authenticate") == (CHALLENGE if api else None)
    if status < 400 or status in (409, 422):
        return YES
    return {401: SIGN_IN, 403: NO, 404: NOTHING}.get(status, f"{status}")


def expected(call: Call, *, role: str, own: bool = True, operator: bool = False, ann: bool = False) -> str:
    """Return what the table promises to somebody with `role` in Ann's organisation, or in another (not `own`)."""
    if call.needs == GONE:
        return NOTHING
    if role not in MAY[call.needs] and not (operator and call.needs == "operate"):
        return NO
    if call.about_a_thing and (not own or (call.mine and not ann)):
        return NOTHING
    return YES


def differences(found: dict[str, str], promised: Callable[[Call], str]) -> dict[str, str]:
    return {
        endpoint: f"{how}, not {promised(CALLS[endpoint])}"
        for endpoint, how in found.items()
        if how != promised(CALLS[endpoint])
    }


def signed_in(app: Flask, person: Person) -> Caller:
    return Caller(app, person.client, {"X-CSRFToken": person.csrf()})


@pytest.mark.parametrize("role", ROLES)
def test_a_colleague_may_do_what_the_role_allows(
    app: Flask, things: dict[str, str], make_person: MakePerson, role: str
) -> None:
    caller = signed_in(app, make_person("colleague@one.example", "One", role=role))
    assert not differences(caller.outcomes(CALLS, things), lambda call: expected(call, role=role))


def test_what_is_ones_own_answers(app: Flask, ann: Person, things: dict[str, str]) -> None:
    """But for the tab of one's own session, which ends with the call."""
    calls = {endpoint: call for endpoint, call in CALLS.items() if endpoint != "accounts.end_session"}
    found = signed_in(app, ann).outcomes(calls, things)
    assert not differences(found, lambda call: expected(call, role="owner", ann=True))


def test_another_organisations_owner_finds_nothing(app: Flask, ben: Person, things: dict[str, str]) -> None:
    found = signed_in(app, ben).outcomes(CALLS, things)
    assert not differences(found, lambda call: expected(call, role="owner", own=False))


def test_an_operator_looks_after_the_installation_and_sees_nobodys_pictures(
    app: Flask, ben: Person, things: dict[str, str]
) -> None:
    with unit_of_work() as uow:
        uow.execute(update(User).where(User.id == ben.user.id).values(is_operator=True))
        uow.execute(update(Membership).where(Membership.user_id == ben.user.id).values(role="viewer"))
    found = signed_in(app, ben).outcomes(CALLS, things)
    assert found.pop("admin.index") == YES  # leads to what an operator may see
    assert not differences(found, lambda call: expected(call, role="viewer", own=False, operator=True))


def of_nobody(call: Call) -> str:
    return NOTHING if call.needs == GONE else YES if call.needs == "anybody" else SIGN_IN


def test_nobody_is_led_to_the_sign_in(app: Flask, things: dict[str, str]) -> None:
    client = app.test_client()
    caller = Caller(app, client, {"X-CSRFToken": csrf_of(client.get("/sign-in").text)})
    assert not differences(caller.outcomes(CALLS, things), of_nobody)


@pytest.mark.parametrize("lost", ["session", "account", "membership"])
def test_whoever_was_here_is_nobody_any_more(
    app: Flask, ann: Person, ben: Person, things: dict[str, str], lost: str
) -> None:
    caller = signed_in(app, ben)
    with unit_of_work() as uow:
        if lost == "session":
            uow.execute(delete(Session).where(Session.user_id == ben.user.id))
        elif lost == "account":
            uow.execute(update(User).where(User.id == ben.user.id).values(enabled=False))
        else:
            uow.execute(delete(Membership).where(Membership.user_id == ben.user.id))
    assert not differences(caller.outcomes(CALLS, things), of_nobody)


API = {endpoint: call for endpoint, call in CALLS.items() if call.path.startswith("/api/")}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_may_do_what_its_scope_allows(
    app: Flask, ann: Person, ben: Person, things: dict[str, str], scope: str
) -> None:
    caller = Caller(app, app.test_client(), ann.bearer(scope))

    def promised(call: Call) -> str:
        return YES if call.needs in SCOPES[scope] | {"anybody"} else NO

    assert not differences(caller.outcomes(API, things), promised)
    abroad = Caller(app, app.test_client(), ben.bearer(scope))

    def promised_abroad(call: Call) -> str:
        return NOTHING if call.about_a_thing and promised(call) == YES else promised(call)

    assert not differences(abroad.outcomes(API, things), promised_abroad)


@pytest.mark.parametrize("role", ["approver", "viewer"])
def test_a_token_never_gives_more_than_its_persons_role(
    app: Flask, things: dict[str, str], make_person: MakePerson, role: str
) -> None:
    person = make_person("colleague@one.example", "One", role=role)
    caller = Caller(app, app.test_client(), person.bearer("read", "write", "admin"))
    assert not differences(caller.outcomes(API, things), lambda call: expected(call, role=role))


@pytest.mark.parametrize("lost", ["revoked", "expired", "account", "membership"])
def test_a_dead_token_opens_nothing_not_even_what_is_open_to_all(
    app: Flask, ann: Person, ben: Person, things: dict[str, str], lost: str
) -> None:
    caller = Caller(app, ben.client, ben.bearer("admin"))
    with unit_of_work() as uow:
        if lost == "revoked":
            uow.execute(update(ApiToken).values(revoked_at=now()))
        elif lost == "expired":
            uow.execute(update(ApiToken).values(expires_at=now() - timedelta(seconds=1)))
        elif lost == "account":
            uow.execute(update(User).where(User.id == ben.user.id).values(enabled=False))
        else:
            uow.execute(delete(Membership).where(Membership.user_id == ben.user.id))
    assert set(caller.outcomes(API, things).values()) == {SIGN_IN}


def test_a_token_opens_no_page(app: Flask, ann: Person, things: dict[str, str]) -> None:
    caller = Caller(app, app.test_client(), ann.bearer("admin"))
    pages = {endpoint: call for endpoint, call in CALLS.items() if call.needs not in (GONE, "anybody")}
    found = caller.outcomes({endpoint: call for endpoint, call in pages.items() if endpoint not in API}, things)
    assert set(found.values()) == {SIGN_IN}


# Beside the path


@pytest.mark.parametrize("query", ["again={job}", "like={image}", "again={image}", "like={job}", "again=x"])
def test_foreign_ids_in_a_query_are_nothing_either(things: dict[str, str], ben: Person, query: str) -> None:
    assert ben.client.get("/generate?" + query.format(**things)).status_code == 404


def test_a_foreign_cursor_leads_to_ones_own_rows_alone(ann: Person, ben: Person) -> None:
    anns = [make_job(ann, states=("succeeded",) * 8, prompt="secret of Ann") for _ in range(14)]
    make_job(ben, prompt="Ben's own")
    cursors = {
        "/api/v1/jobs?limit=2": "/api/v1/jobs",
        "/api/v1/images?limit=2": "/api/v1/images",
    }
    for path, list_path in cursors.items():
        cursor = ann.client.get(path).get_json()["next_cursor"]
        assert cursor
        pages = [f"{list_path}?cursor={cursor}", f"/library?cursor={cursor}", f"/library/grid?cursor={cursor}"]
        pages += [f"/jobs?cursor={cursor}", f"/generate/feed?before={cursor}"]
        for page in pages:
            found = ben.client.get(page)
            assert found.status_code == 200 and "secret of Ann" not in found.text and anns[0].job not in found.text


STRANGE = ("x", "..%2f..%2fetc%2fpasswd", "a%00b", "%e2%80%ae", "A" * 3000, "%ff%fe", "{upper}", "%0d%0aX: y")


@pytest.mark.parametrize("strange", STRANGE)
def test_what_is_no_id_is_nothing_and_breaks_nothing(
    app: Flask, ann: Person, things: dict[str, str], strange: str
) -> None:
    caller = signed_in(app, ann)
    odd = {name: strange.format(upper=value.upper()) for name, value in things.items()}
    calls = {
        endpoint: call
        for endpoint, call in CALLS.items()
        if call.about_a_thing and "{" in call.path.partition("?")[0]
    }
    found = caller.outcomes(calls, odd)
    assert set(found.values()) == {NOTHING}, found


def test_a_width_that_is_none_is_nothing(ann: Person, things: dict[str, str]) -> None:
    for width in ("-1", "x", "1.5", "%00"):
        assert ann.client.get(f"/media/{things['image']}/{width}.webp").status_code == 404
    assert ann.client.get(f"/media/{things['image']}/{'9' * 30}.webp").status_code == 200


def test_where_one_was_heading_is_kept(app: Flask, ann: Person) -> None:
    answer = app.test_client().get("/library?filter=favourites&cursor=x%20y")
    assert answer.location == "/sign-in?next=/library?filter%3Dfavourites%26cursor%3Dx%2520y"


def test_a_piece_of_a_page_asked_for_by_nobody_is_told_so_in_a_piece(app: Flask, ann: Person) -> None:
    """Not led to a whole page, which would be put into the middle of the one that is open."""
    answer = app.test_client().get("/generate/feed", headers={"HX-Request-Type": "partial"})
    assert answer.status_code == 401 and "<hx-partial" in answer.text and "<html" not in answer.text
