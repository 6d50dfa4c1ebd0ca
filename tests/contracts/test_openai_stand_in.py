"""The stand-in for OpenAI keeps to the published contract, and does what it is told."""

from __future__ import annotations

import json

import pytest
import requests

from tests.fakes.openai_contract import MODELS, answer_complaints, published
from tests.fakes.openai_faults import FAULTS
from tests.fakes.openai_server import OpenAIServer

needs_contract = pytest.mark.skipif(published() is None, reason="the published contract is not beside the project")
ANSWERED_BY_CONTRACT = sorted(
    name for name in FAULTS if name[:3] in ("400", "401", "403", "404", "429", "500", "503") and name != "502"
)


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


def post(server, key=None, **body):
    url = server.base_url + "/images/generations"
    headers = {"Authorization": f"Bearer {key or server.key}"}
    return requests.post(url, json={"model": MODELS[0], "prompt": "a cat", **body}, headers=headers, timeout=10)


@needs_contract
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"n": 2, "quality": "max"},
        {"background": "transparent", "output_format": "webp"},
        {"model": "gpt-image-1.5"},
    ],
)
def test_its_pictures_come_as_the_contract_says(server, body):
    answer = post(server, **body)

    assert answer.status_code == 200
    assert answer_complaints(answer.content, 200) == []


@needs_contract
@pytest.mark.parametrize("fault", ANSWERED_BY_CONTRACT)
def test_its_errors_come_as_the_contract_says(server, fault):
    server.script(fault)
    answer = post(server)

    assert answer.status_code == int(fault[:3])
    assert answer_complaints(answer.content, answer.status_code) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"response_format": "b64_json"},
        {"style": "vivid"},
        {"seed": 1},
        {"negative_prompt": "blur"},
        {"quality": "hd"},
        {"n": 11},
        {"size": "1000x1000"},
        {"size": "512x512"},
        {"size": "4096x1024"},
        {"background": "transparent", "output_format": "jpeg"},
        {"model": "gpt-image-1.5", "size": "1024x1792"},
        {"model": "gpt-image-1.5", "quality": "max"},
        {"prompt": ""},
    ],
)
def test_it_refuses_what_the_service_would_refuse_and_bills_nothing(server, wrong):
    assert post(server, **wrong).status_code == 400
    assert server.requests[0].complaint
    assert server.bill == 0


def test_it_knows_its_key(server):
    assert post(server, key="sk-wrong").status_code == 401
    assert requests.get(server.base_url + "/models", timeout=10).status_code == 401


def test_it_lists_models_with_the_day_they_end(server):
    answer = requests.get(server.base_url + "/models", headers={"Authorization": f"Bearer {server.key}"}, timeout=10)

    ends = {model["id"]: model["shutdown_date"] for model in answer.json()["data"]}
    assert ends["gpt-image-1.5"] == "2026-12-01"
    assert ends["gpt-image-2.6-flare"] is None


def test_it_is_steered_and_read_over_the_network(server):
    control = server.base_url.replace("/v1", "/_control")
    assert requests.post(control, json={"faults": ["429", "500"]}, timeout=10).ok
    statuses = [post(server).status_code for _ in range(3)]
    report = requests.get(control, timeout=10).json()

    assert statuses == [429, 500, 200]
    assert (report["requests"], report["generations"], report["complaints"]) == (3, 3, [])
    assert report["bill_micro"] == server.bill > 0
    assert [seen["fault"] for seen in report["log"]] == ["429", "500", None]


def test_a_fault_that_there_is_not_is_refused(server):
    control = server.base_url.replace("/v1", "/_control")

    assert requests.post(control, json={"faults": ["tuesday"]}, timeout=10).status_code == 400


def test_a_lasting_fault_lasts_until_it_is_taken_back(server):
    control = server.base_url.replace("/v1", "/_control")
    requests.post(control, json={"always": "503"}, timeout=10)
    assert [post(server).status_code for _ in range(2)] == [503, 503]

    requests.post(control, json={"always": None}, timeout=10)
    assert post(server).status_code == 200


def test_its_bill_is_the_usage_that_it_sent_times_its_prices(server):
    answer = post(server, n=2, quality="high", prompt="x" * 40).json()

    usage = answer["usage"]
    assert server.bill == usage["input_tokens"] * 5 + usage["output_tokens"] * 30
    assert json.dumps(usage) == json.dumps(server.requests[0].usage)


def test_what_it_made_before_failing_is_billed(server):
    server.script("broken_base64", "429")
    post(server)
    billed = server.bill
    post(server)

    assert billed > 0
    assert server.bill == billed
