"""Who acts: a name in a header, made known on first use."""

from urllib.parse import quote

import pytest

HEADER = "Equipoise-Person"


def test_a_person_says_who_they_are_once_and_is_listed(client):
    assert client.get("/api/people").json()["items"] == []
    for _ in range(2):
        answer = client.put("/api/people/me", json={"email": "a@example.org"}, headers={HEADER: quote("Zoë  Åström ")})
        assert answer.json() == {"name": "Zoë Åström", "email": "a@example.org"}
    client.put("/api/people/me", json={}, headers={HEADER: "Abel"})
    assert [p["name"] for p in client.get("/api/people").json()["items"]] == ["Abel", "Zoë Åström"]


@pytest.mark.parametrize("name", [None, "", "%20", "%FF", "a%00b", "a%0Ab%07", "x" * 101])
def test_what_is_no_name_is_refused_and_names_the_header(client, name):
    headers = {} if name is None else {HEADER: name}
    answer = client.put("/api/people/me", json={}, headers=headers)
    assert answer.status_code == 422, answer.text
    assert HEADER in answer.json()["problems"][0]["field"]
    assert client.get("/api/people").json()["items"] == []


@pytest.mark.parametrize("email", ["nobody", "a@b,c@d", "a b@c", "@", "x" * 260 + "@y"])
def test_an_address_that_mail_could_not_use_is_refused(client, email):
    answer = client.put("/api/people/me", json={"email": email}, headers={HEADER: "Abel"})
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "email"
