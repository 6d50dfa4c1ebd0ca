"""Budgets and allowances by program."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import SecretStr

from tests.api.conftest import Api, MakeApi
from tests.conftest import MakePerson, Person

PAID = {"prompt": "violet waves", "provider": "openai", "quality": "low"}

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {"openai_api_key": SecretStr("sk-never-called"), "openai_base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture
def admin(ann: Person, make_api: MakeApi) -> Api:
    """Ann's program, with a token that may do all that she may."""
    return make_api(ann, "admin")


def put(api: Api, **body: object):
    return api.send("PUT", "budgets", json={"per": "month", "cap": "20"} | body)


def listed(api: Api) -> list[dict]:
    return api.get("budgets").get_json()["items"]


def test_a_budget_is_set_changed_and_taken_away(admin: Api) -> None:
    made = put(admin).get_json()
    assert made["ends_at"].endswith("Z") and made["user_id"] is None
    assert made == {
        **{name: made[name] for name in ("id", "ends_at")},
        "user_id": None,
        "name": None,
        "per": "month",
        "hard": True,
        "cap": "20.000000",
        "left": "20.000000",
        **dict.fromkeys(("granted", "spent", "reserved"), "0.000000"),
        "percent": 0,
    }
    changed = put(admin, cap="0.500000", hard=False).get_json()
    assert (changed["id"], changed["cap"], changed["hard"]) == (made["id"], "0.500000", False)
    assert listed(admin) == [changed]
    assert admin.send("DELETE", f"budgets/{made['id']}").status_code == 204
    assert listed(admin) == []
    assert admin.send("DELETE", f"budgets/{made['id']}").status_code == 404


def test_what_is_asked_for_is_set_aside_to_the_last_place(admin: Api) -> None:
    put(admin, cap="1")
    asked = Decimal(admin.post("images/generate", PAID).get_json()["cost"]["estimated"])
    assert asked > 0
    [found] = listed(admin)
    assert (Decimal(found["reserved"]), Decimal(found["left"])) == (asked, 1 - asked)
    assert found["percent"] == int(100 * asked)


def test_a_person_of_the_organisation_has_a_budget_of_their_own(
    admin: Api, make_person: MakePerson, make_api: MakeApi
) -> None:
    eve = make_person("eve@one.example", "One", role="editor")
    bob = make_person("bob@two.example", "Two")
    made = put(admin, user_id=eve.user.public_id, per="day", cap="0.000001").get_json()
    assert (made["user_id"], made["name"], made["per"]) == (eve.user.public_id, eve.user.name, "day")

    refused = make_api(eve).post("images/generate", PAID)
    assert refused.status_code == 402 and refused.get_json()["kind"] == "budget"
    assert int(refused.headers["Retry-After"]) <= 25 * 3600
    assert admin.post("images/generate", PAID).status_code == 202
    for stranger in (bob.user.public_id, "nobody"):
        answer = put(admin, user_id=stranger)
        assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "user_id")


@pytest.mark.parametrize("cap", ["-1", "1e3", "1.0000001", "1000000.000001", "9999999", "", "$5", "NaN", 20, None])
def test_an_amount_is_a_text_of_dollars_and_not_more_than_a_million(admin: Api, cap: object) -> None:
    answer = put(admin, cap=cap)
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "cap")
    assert listed(admin) == []


def test_a_million_is_an_amount(admin: Api) -> None:
    assert put(admin, cap="1000000.000000").get_json()["left"] == "1000000.000000"


def test_another_organisations_budget_is_nothing(admin: Api, make_person: MakePerson, make_api: MakeApi) -> None:
    other = make_api(make_person("bob@two.example", "Two"), "admin")
    made = put(admin).get_json()
    assert other.send("DELETE", f"budgets/{made['id']}").status_code == 404
    assert (listed(other), len(listed(admin))) == ([], 1)


def test_an_allowance_is_set_and_lifted(admin: Api) -> None:
    def allowance(pictures: object):
        return admin.send("PUT", "budgets/allowance", json={"pictures": pictures})

    assert admin.get("budgets/allowance").get_json() == {"pictures": None}
    assert allowance(1).get_json() == admin.get("budgets/allowance").get_json() == {"pictures": 1}
    assert admin.post("images/generate", PAID | {"n": 2}).status_code == 429
    for wrong in (-1, "1", 1.5, 1_000_001):
        assert allowance(wrong).status_code == 422
    assert allowance(None).status_code == 200
    assert admin.post("images/generate", PAID | {"n": 2}).status_code == 202
