"""Short links: kept once, opened as they were, and what finished since is counted."""

import pytest

from tests.backend import synthetic


def keep(client, path="/explore", person=None, **search):
    headers = {"Equipoise-Person": person} if person else {}
    return client.post("/api/links", json={"path": path, "search": search}, headers=headers)


def test_a_view_is_kept_and_opened_as_it_was(client):
    answer = keep(client, person="Abel", jobs="a,b", x="epsilon", select="1,2,3", note="<b>=1+1</b> é")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert len(made["id"]) == 10
    found = client.get(f"/api/links/{made['id']}").json()
    assert found == made
    assert found["search"] == {"jobs": "a,b", "x": "epsilon", "select": "1,2,3", "note": "<b>=1+1</b> é"}
    assert (found["person"], found["newer"]) == ("Abel", 0)


def test_runs_that_finished_since_are_counted_once(client, database):
    one, two = (client.post("/api/jobs", json=synthetic.spec(seeds=n)).json()["id"] for n in (1, 2))
    synthetic.measure(database, one)
    explore = keep(client, jobs=f"{one},{two}").json()["id"]
    study = keep(client, path=f"/studies/{two}").json()["id"]
    assert client.get(f"/api/links/{explore}").json()["newer"] == 0
    synthetic.measure(database, two)
    assert client.get(f"/api/links/{explore}").json()["newer"] == 7
    assert client.get(f"/api/links/{study}").json()["newer"] == 7


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"path": "https://elsewhere.example/"}, "path"),
        ({"path": "//elsewhere.example"}, "path"),
        ({"path": "/explore/../api"}, "path"),
        ({"path": "/studies/" + "x" * 65}, "path"),
        ({"path": "/explore\n"}, "path"),
        ({"path": "/explore", "search": {"x": "y" * 8001}}, "search.x"),
        ({"path": "/explore", "search": {"__proto__": "1"}}, "search.__proto__"),
        ({"path": "/explore", "search": {f"k{i}": "" for i in range(61)}}, "search"),
        ({"path": "/explore", "search": {"x": 1}}, "search.x"),
    ],
)
def test_what_is_no_view_is_refused(client, body, field):
    answer = client.post("/api/links", json=body)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"].startswith(field)


def test_a_link_that_is_not_there(client):
    answer = client.get("/api/links/0000000000")
    assert answer.status_code == 404
    assert "copied whole" in answer.json()["detail"] + answer.text
