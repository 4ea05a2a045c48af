"""The report of a review: the snapshot's numbers, what was said and decided, the chain, and nothing that is blind."""

import csv
import io

import pytest

from tests.backend.test_reports import NASTY, Naive, figures_of
from tests.backend.test_reviews import by, hand, new


@pytest.fixture
def review(client, study):
    answer = new(client, study)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def act(client, review, path, person, body):
    answer = client.post(f"/api/reviews/{review}{path}", json=body, headers=by(person))
    assert answer.is_success, answer.text
    return answer.json()


def read(client, review):
    answer = client.get(f"/api/reports/reviews/{review}")
    assert answer.status_code == 200, answer.text
    return Naive(answer.text)


def test_it_has_the_comparison_the_decision_the_discussion_and_the_head(client, review):
    act(client, review, "/comments", "Cleo", {"text": "Too small a group."})
    act(client, review, "/decisions", "Ben", {"decision": "approve", "reason": "Good enough."})
    found = read(client, review)
    detail = client.get(f"/api/reviews/{review}").json()
    for text in ("Ship it?", "Which?", "Too small a group.", "Good enough.", detail["verification"]["head"]):
        assert text in found.text
    assert found.table("Person", "Role", "Decision", "Counts")[0][:4] == ["Ben", "approver", "approves", "yes"]
    history = client.get(f"/api/reviews/{review}/events").json()["items"]
    assert [row[5] for row in found.table("Entry", "When")] == [one["hash"] for one in history]
    compared = client.get(f"/api/reviews/{review}/comparison").json()
    api = [cell["mean"] for row in compared["rows"] for cell in row["cells"] if cell is not None]
    assert [row[5] for row in found.table("Metric", "Subgroup", "Marked", "Setting", "Best")] == api
    tests = [(t["p"], t["corrected"]) for row in compared["rows"] for t in row["tests"]]
    rows = found.table("Metric", "Subgroup", "Pair")
    assert [tuple(None if v == "–" else v for v in row[7:9]) for row in rows] == tests


def test_its_figures_are_of_the_snapshot_and_outlive_the_study(client, study, review):
    before = figures_of(read(client, review))
    snapshot = client.get(f"/api/reviews/{review}/snapshot").json()
    assert len(before) >= 4
    means = {
        cell["mean"]
        for one in snapshot["series"]
        if one["metric"] == "loss" and one["split"] == "test"
        for cell in one["cells"]
    }
    drawn = [figure["figure"] for figure in before if "Loss of each subgroup" in str(figure)] or [
        figure["figure"] for figure in before
    ]
    values = {round(x, 6) for one in drawn for trace in one["data"] for x in trace.get("x", []) if isinstance(x, float)}
    assert {round(mean, 6) for mean in means} <= values
    assert client.delete(f"/api/jobs/{study}").is_success
    assert figures_of(read(client, review)) == before


def test_a_changed_entry_is_an_alarm(client, database, review):
    act(client, review, "/comments", "Cleo", {"text": "Before."})
    hand(database, "UPDATE review_events SET created_at = '2020-01-01 00:00:00' WHERE number = 2")
    found = read(client, review)
    assert "Alarm." in found.text
    assert "altered" in found.text


def test_what_is_blind_stays_out(client, review):
    task = act(
        client, review, "/tasks", "Ada",
        {
            "title": "Rate", "raters": ["Cleo"], "scale": {"points": [{"value": 1}, {"value": 2}]},
            "items": [{"content": "visible words", "hidden": {"method": "SECRETMETHOD"}}],
        },
    )  # fmt: skip
    item = client.get(f"/api/reviews/{review}/tasks/{task['id']}", headers=by("Cleo")).json()["content"][0]["id"]
    act(
        client,
        review,
        f"/tasks/{task['id']}/ratings",
        "Cleo",
        {"ratings": [{"item": item, "value": 2, "note": "HUSH"}]},
    )
    assert not {"SECRETMETHOD", "HUSH"} & set(read(client, review).text.split())
    act(client, review, f"/tasks/{task['id']}/close", "Ada", None)
    assert "SECRETMETHOD" in read(client, review).text


def test_the_csv_has_every_number_of_the_snapshot(client, review):
    answer = client.get(f"/api/reports/reviews/{review}/measurements")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    snapshot = client.get(f"/api/reviews/{review}/snapshot").json()
    expected = [
        (run["id"], one["metric"], one["subgroup"], one["split"], value)
        for one in snapshot["series"]
        for setting, cell in zip(snapshot["settings"], one["cells"], strict=True)
        if cell is not None
        for run, value in zip(setting["runs"], cell["values"], strict=True)
    ]
    said = [
        (r["run_id"], r["metric"], r["subgroup"], r["split"], float(r["value"]) if r["value"] else None) for r in rows
    ]
    assert said == expected
    assert len(said) > 100


def test_the_csv_of_a_selection_has_its_settings_alone(client, study):
    runs = client.get(f"/api/jobs/{study}/runs").json()["items"]
    wanted = sorted({run["setting_id"] for run in runs})[:2]
    params = {"job_id": study, "setting_id": wanted, "format": "csv"}
    rows = list(csv.DictReader(io.StringIO(client.get("/api/measurements", params=params).text)))
    assert {row["run_id"] for row in rows} == {run["id"] for run in runs if run["setting_id"] in wanted}


def test_hostile_titles_comments_and_reasons_are_inert(client, study, review):
    plain = read(client, review).elements
    hostile = "".join(NASTY)[:190]
    other = new(client, study, title=hostile, question=hostile).json()["id"]
    assert read(client, other).elements == plain
    for one, text in ((review, "plain"), (other, hostile)):
        act(client, one, "/comments", "Cleo", {"text": text})
        act(client, one, "/decisions", "Ben", {"decision": "reject", "reason": text})
    assert read(client, other).elements == read(client, review).elements
    assert "window.ran" in read(client, other).text


def test_an_unknown_review_is_404(client):
    for path in ("nothere", "nothere/measurements"):
        assert client.get(f"/api/reports/reviews/{path}").status_code == 404
