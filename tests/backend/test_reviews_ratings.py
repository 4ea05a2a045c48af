"""Blind rating tasks: what a rater may see, and what a closed task says."""

import csv
import io
import json
from collections import Counter

import numpy as np
import pytest

from backend.api.services.ratings import allocate
from tests.backend.test_reviews import by, do, new, review  # noqa: F401

SCALE = {"points": [{"value": v, "label": str(v)} for v in range(1, 6)], "level": "ordinal"}
ITEMS = [
    {"content": f"Text {i}", "hidden": {"method": f"method-{i % 2}", "score": i / 10, "group": "ab"[i % 3 == 0]}}
    for i in range(12)
]


def task(do, person="Ada", **changes):  # noqa: F811
    body = {"title": "How rude?", "items": ITEMS, "scale": SCALE, "raters": ["Ben", "Cleo"], "seed": 7, **changes}
    if "csv" in changes:
        del body["items"]
    return do("POST", "/tasks", person, body)


def rate(do, number, person, ratings):  # noqa: F811
    body = {"ratings": [{"item": item, "value": value} for item, value in ratings.items()]}
    return do("POST", f"/tasks/{number}/ratings", person, body)


def everything(client, review, person, number):  # noqa: F811
    """All that the API answers a person about the review."""
    paths = ("", "/events", "/export", f"/tasks/{number}", f"/tasks/{number}/export", "/verification")
    return " ".join(client.get(f"/api/reviews/{review}{path}", headers=by(person)).text for path in paths)


def test_a_rater_sees_nothing_hidden_and_no_others_ratings_until_it_is_closed(client, review, do):  # noqa: F811
    number = task(do).json()["id"]
    answers = {i: 1 + i % 5 for i in range(1, 13)}
    first = rate(do, number, "Ben", answers).json()
    assert first["rated"] == {"Ben": 12, "Cleo": 0}
    assert first["unanswered"] == 0
    for person in ("Cleo", "Ada", "Eve"):
        said = everything(client, review, person, number)
        assert "method-" not in said
        assert '"salt"' not in said
        assert '"seed":7' not in said
        events = client.get(f"/api/reviews/{review}/events", headers=by(person)).json()["items"]
        assert all("ratings" not in e["data"] for e in events if e["type"] == "rated")
        assert [e["redacted"] for e in events] == [False, True, True]
        shown = client.get(f"/api/reviews/{review}/tasks/{number}", headers=by(person)).json()
        assert all(one["rating"] is None and one["hidden"] == {} for one in shown["content"])
        assert shown["results"] is None
        assert shown["seed"] is None
        assert shown["hidden_fields"] == []
    mine = client.get(f"/api/reviews/{review}/tasks/{number}", headers=by("Ben")).json()["content"]
    assert {one["id"]: one["rating"]["value"] for one in mine} == answers
    rate(do, number, "Cleo", {**answers, 3: None})
    closed = do("POST", f"/tasks/{number}/close", "Ada").json()
    assert closed["closed"]
    assert closed["seed"] == 7
    assert closed["hidden_fields"] == ["group", "method", "score"]
    assert "method-1" in everything(client, review, "Ben", number)
    kept = {one["content"]: one["hidden"] for one in closed["content"]}
    assert kept == {one["content"]: one["hidden"] for one in ITEMS}
    assert client.get(f"/api/reviews/{review}").json()["verification"]["intact"]


def test_each_rater_has_an_order_of_their_own_that_stays(client, review, do):  # noqa: F811
    number = task(do).json()["id"]
    url = f"/api/reviews/{review}/tasks/{number}"
    orders = [[one["id"] for one in client.get(url, headers=by(p)).json()["content"]] for p in ("Ben", "Cleo", "Ben")]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(1, 13))


def test_the_number_of_an_item_says_nothing_of_its_place_in_the_file(do):  # noqa: F811
    items = [{"content": f"{i}", "hidden": {"method": "a" if i < 50 else "b"}} for i in range(100)]
    content = task(do, items=items).json()["content"]
    place = {one["id"]: int(one["content"]) for one in content}
    assert abs(np.corrcoef(list(place), list(place.values()))[0, 1]) < 0.4
    assert [place[i] for i in range(1, 101)] != list(range(100))


def test_results_are_alpha_pairs_and_means_by_hidden_value(do):  # noqa: F811
    number = task(do).json()["id"]
    rng = np.random.default_rng(0)
    given = {p: {i: int(rng.integers(1, 6)) for i in range(1, 13)} for p in ("Ben", "Cleo")}
    given["Cleo"][4] = None
    for person, answers in given.items():
        rate(do, number, person, answers)
    closed = do("POST", f"/tasks/{number}/close", "Ada").json()
    found = closed["results"]
    assert [a["level"] for a in found["agreement"]] == ["ordinal", "nominal", "interval"]
    assert found["agreement"][0]["items"] == 11
    assert found["sentence"] == found["agreement"][0]["sentence"]
    both = [i for i in given["Ben"] if given["Cleo"][i] is not None]
    equal = sum(given["Ben"][i] == given["Cleo"][i] for i in both)
    assert found["pairs"] == [{"a": "Ben", "b": "Cleo", "items": 11, "equal": equal}]
    hidden = {one["id"]: one["hidden"]["method"] for one in closed["content"]}
    for row in (one for one in found["by_hidden"] if one["field"] == "method"):
        means = [
            np.mean([given[p][i] for p in given if given[p][i] is not None])
            for i in hidden
            if hidden[i] == row["value"]
        ]
        assert row["mean"] == pytest.approx(np.mean(means))
        assert row["items"] == 6
        assert row["low"] < row["mean"] < row["high"]
    assert sum(one["unsure"] for one in found["by_hidden"] if one["field"] == "method") == 1
    assert found["not_blind"] == []


def test_who_made_the_task_is_named_as_not_blind(do):  # noqa: F811
    number = task(do, raters=["Ada", "Ben"]).json()["id"]
    assert do("POST", f"/tasks/{number}/close", "Ada").json()["results"]["not_blind"] == ["Ada"]


@pytest.mark.parametrize(
    ("ratings", "field"),
    [({99: 1}, "ratings.0.item"), ({1: 6}, "ratings.0.value"), ({1: 1.5}, "ratings.0.value"), ({}, "")],
)
def test_answers_that_are_none_are_refused_and_none_is_kept(client, review, do, ratings, field):  # noqa: F811
    number = task(do).json()["id"]
    answer = rate(do, number, "Ben", ratings)
    assert answer.status_code == 422, answer.text
    assert answer.json()["problems"][0]["field"] == field, answer.text
    assert client.get(f"/api/reviews/{review}").json()["tasks"][0]["rated"]["Ben"] == 0


def test_who_may_rate_close_and_ask(do):  # noqa: F811
    assert task(do, person="Eve").status_code == 409
    number = task(do).json()["id"]
    assert rate(do, number, "Eve", {1: 1}).status_code == 409
    assert do("POST", f"/tasks/{number}/close", "Ben").status_code == 409
    assert do("POST", f"/tasks/{number}/close", "Ada").status_code == 200
    assert rate(do, number, "Ben", {1: 1}).status_code == 409
    assert do("POST", f"/tasks/{number}/close", "Ada").status_code == 409
    assert do("GET", "/tasks/99", "Ada").status_code == 404


def test_a_later_answer_replaces_the_earlier_one_which_stays_in_the_history(client, review, do):  # noqa: F811
    number = task(do).json()["id"]
    for value in (2, 4):
        shown = rate(do, number, "Ben", {5: value}).json()
    assert {one["id"]: one["rating"] for one in shown["content"]}[5]["value"] == 4
    own = client.get(f"/api/reviews/{review}/events", headers=by("Ben")).json()["items"]
    assert [e["data"]["ratings"][0]["value"] for e in own if e["type"] == "rated"] == [2, 4]


def test_items_and_ratings_come_and_go_as_csv_with_formulas_inert(client, review, do):  # noqa: F811
    evil = ["=cmd|'/C calc'!A0", "+1", "-1", "@SUM(A1)", 'He said "no", twice\nand left', "<script>alert(1)</script>"]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["method", "content", "score"])
    writer.writerows([["=1+1", content, 0.5] for content in evil])
    made = task(do, csv=out.getvalue()).json()
    number, url = made["id"], f"/api/reviews/{review}/tasks/{made['id']}/export"
    assert sorted(one["content"] for one in made["content"]) == sorted(evil)
    given = client.get(url, headers=by("Ben"))
    assert given.headers["content-type"].startswith("text/csv")
    assert "attachment" in given.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(given.text, newline="")))
    assert len(rows) == 6
    assert "method" not in rows[0]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    back = io.StringIO()
    writer = csv.DictWriter(back, ["item", "value", "note"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(
        {"item": row["item"], "value": "unsure" if i == 0 else "3", "note": "=1"} for i, row in enumerate(rows)
    )
    sent = do("POST", f"/tasks/{number}/ratings", "Ben", {"csv": back.getvalue()})
    assert Counter(one["rating"]["value"] for one in sent.json()["content"]) == {3: 5, None: 1}
    do("POST", f"/tasks/{number}/close", "Ada")
    closed = list(csv.DictReader(io.StringIO(client.get(url).text, newline="")))
    assert {row["method"] for row in closed} == {"'=1+1"}
    assert {row["note"] for row in closed if row["note"]} == {"'=1"}
    again = task(do, csv=client.get(url).text).json()
    assert {one["content"] for one in again["content"]} == set(evil)


@pytest.mark.parametrize("text", ["", "a,b\n1,2", "content,content\n1,2", "content\n1,2", 'content\n"x', "content\n"])
def test_a_file_that_is_none_is_refused_and_says_why(do, text):  # noqa: F811
    answer = task(do, csv=text)
    assert answer.status_code == 422, answer.text
    assert answer.json()["problems"][0]["field"].startswith("csv"), answer.text


def test_a_sample_is_stratified_and_repeats_with_its_seed(do):  # noqa: F811
    items = [{"content": f"{i}", "hidden": {"m": "a" if i < 150 else "b" if i < 190 else "c"}} for i in range(200)]
    drawn = []
    for seed in (3, 3, 4):
        number = task(do, items=items, sample={"size": 20, "by": "m"}, seed=seed).json()["id"]
        closed = do("POST", f"/tasks/{number}/close", "Ada").json()
        assert Counter(one["hidden"]["m"] for one in closed["content"]) == {"a": 15, "b": 4, "c": 1}
        assert f"20 of 200 items, proportional by m: a 15 of 150" in closed["sampled"]  # noqa: F541
        drawn.append(frozenset(one["content"] for one in closed["content"]))
    assert drawn[0] == drawn[1] != drawn[2]
    assert task(do, items=items, sample={"size": 5, "by": "x"}).json()["problems"][0]["field"] == "sample.by"


@pytest.mark.parametrize("equal", [True, False])
def test_shares_of_a_sample_add_up(equal):
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = rng.integers(1, 40, rng.integers(1, 7)).tolist()
        total = int(rng.integers(1, sum(sizes) + 5))
        given = allocate(sizes, total, equal=equal)
        assert sum(given) == min(total, sum(sizes))
        assert all(0 <= g <= s for g, s in zip(given, sizes, strict=True))
        if not equal:
            assert all(abs(g - min(total, sum(sizes)) * s / sum(sizes)) < 1 for g, s in zip(given, sizes, strict=True))


def test_a_rating_cannot_be_guessed_from_its_hash(client, database, review, do):  # noqa: F811
    """Without the salt, five values could be tried."""
    from backend.store import reviews

    number = task(do).json()["id"]
    rate(do, number, "Ben", {1: 2})
    rate(do, number, "Ben", {1: 2})
    with database.read() as session:
        entries = reviews.load(session, review).entries
    salts = [entry.data["salt"] for entry in entries[1:]]
    assert len(set(salts)) == 3
    assert all(len(salt) == 32 for salt in salts)
    assert json.dumps(salts[1]) not in everything(client, review, "Ben", number)
