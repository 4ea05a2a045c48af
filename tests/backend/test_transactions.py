"""What writes several rows writes all of them or none: every action fails at its last step and leaves nothing."""

import importlib
from urllib.parse import quote

import pytest

from tests.backend import synthetic


def by(name):
    return {"Equipoise-Person": quote(name)}


class Broken(Exception):
    pass


def broken(*_, **__):
    raise Broken


def body(client, study):
    ids = list(dict.fromkeys(one["setting_id"] for one in client.get(f"/api/jobs/{study}/runs").json()["items"]))
    members = [{"name": "Ben", "role": "approver"}, {"name": "Cleo", "role": "reviewer"}]
    return {"title": "Ship it?", "question": "Which?", "job_ids": [study], "setting_ids": ids[:2], "members": members}


#: Name, who acts, address, body, and what is broken: the last thing that the action does.
ACTIONS = [
    ("comment", "Dora", "/comments", {"text": "Is @Ben sure? @Cleo too"}, "backend.store.notifications.add"),
    ("answer", "Ben", "/comments", {"text": "Yes.", "thread": 2}, "backend.store.notifications.add"),
    ("decide", "Ben", "/decisions", {"decision": "approve", "reason": "Good."}, "backend.store.notifications.add"),
    ("reject", "Cleo", "/decisions", {"decision": "reject", "reason": "No."}, "backend.api.services.reviews._detail"),
    ("resolve", "Ada", "/threads/2/resolve", None, "backend.api.services.reviews._detail"),
    (
        "rate",
        "Ada",
        "/tasks",
        {
            "title": "Which is worse?",
            "items": [{"content": "a"}, {"content": "b"}],
            "scale": {"points": [{"value": 0}, {"value": 1}]},
            "raters": ["Ben", "Nora"],
        },
        "backend.store.notifications.add",
    ),
]


@pytest.fixture
def review(client, study):
    made = client.post("/api/reviews", json=body(client, study), headers=by("Ada"))
    assert made.status_code == 201
    review = made.json()["id"]
    first = client.post(f"/api/reviews/{review}/comments", json={"text": "First."}, headers=by("Cleo"))
    assert first.json()["threads"][0]["id"] == 2
    return review


@pytest.mark.parametrize(("name", "person", "path", "sent", "last"), ACTIONS, ids=[one[0] for one in ACTIONS])
def test_an_action_on_a_review_that_breaks_off_leaves_nothing(
    client, review, stored, monkeypatch, name, person, path, sent, last
):
    address = f"/api/reviews/{review}"
    before, was = stored(), client.get(address).json()
    with monkeypatch.context() as patch:
        patch.setattr(last, broken)
        assert client.post(f"{address}{path}", json=sent, headers=by(person)).status_code == 500
    assert stored() == before
    assert client.get(address).json() == was
    assert was["verification"]["intact"]
    done = client.post(f"{address}{path}", json=sent, headers=by(person))
    assert done.is_success, done.text
    assert stored() != before, "the same, unbroken, is stored"


def test_a_review_that_breaks_off_while_it_is_made_leaves_nothing(client, study, stored, monkeypatch):
    before = stored()
    for last in ("backend.store.notifications.add", "backend.api.services.reviews._detail"):
        with monkeypatch.context() as patch:
            patch.setattr(last, broken)
            answer = client.post("/api/reviews", json=body(client, study), headers=by("Ada"))
            assert answer.status_code == 500
        assert stored() == before
    assert client.post("/api/reviews", json=body(client, study), headers=by("Ada")).status_code == 201


def test_a_choice_that_breaks_off_leaves_nothing(client, study, stored, monkeypatch):
    choices = importlib.import_module("backend.api.services.operating_points.choices")
    setting = body(client, study)["setting_ids"][0]
    sent = {"job_ids": [study], "setting_id": setting, "constraints": [], "reason": "It is fair."}
    before = stored()
    with monkeypatch.context() as patch:
        patch.setattr(choices, "shown", broken)
        assert client.post("/api/operating-points", json=sent, headers=by("Abel")).status_code == 500
    assert stored() == before
    made = client.post("/api/operating-points", json=sent, headers=by("Abel"))
    assert made.status_code == 201
    before, point = stored(), f"/api/operating-points/{made.json()['id']}"
    with monkeypatch.context() as patch:
        patch.setattr("backend.api.services.operating_points.shown", broken)
        answer = client.post(f"{point}/withdraw", json={"reason": "No."}, headers=by("New person"))
        assert answer.status_code == 500
    assert stored() == before
    assert client.get(point).json()["withdrawn"] is None


def test_studies_that_cannot_be_changed_together_stay_as_they_are(client, study, stored, monkeypatch):
    other = client.post("/api/jobs", json=synthetic.spec(name="Other")).json()["id"]
    before = [client.get(f"/api/jobs/{one}").json() for one in (study, other)]
    change = {"ids": [study, other], "add_tags": ["both"], "archived": True}
    with monkeypatch.context() as patch:
        patch.setattr("backend.api.services.views.job_list", broken)
        assert client.post("/api/jobs/change", json=change).status_code == 500
    assert [client.get(f"/api/jobs/{one}").json() for one in (study, other)] == before
