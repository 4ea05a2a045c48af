"""Reviews over HTTP: two people, a frozen snapshot, a history that shows every tampering."""

import html
import threading
from datetime import datetime
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from sqlalchemy import select, text, update

from backend.analysis.effects import sign_flip
from backend.analysis.significance import holm
from backend.contracts.results import Measurement, RunResult
from backend.store import jobs, reviews, runs
from backend.store.tables import NotificationRow, PersonRow, ReviewRow
from tests.backend import synthetic


def by(name):
    return {"Equipoise-Person": quote(name)}


def settings_of(client, job):
    rows = client.get(f"/api/jobs/{job}/runs").json()["items"]
    return list(dict.fromkeys(row["setting_id"] for row in rows))


def new(client, study, **changes):
    members = [{"name": "Ben", "role": "approver"}, {"name": "Cleo", "role": "reviewer"}]
    body = {"title": "Ship it?", "question": "Which?", "job_ids": [study], "members": members}
    body |= {"setting_ids": settings_of(client, study)[:3]} | changes
    return client.post("/api/reviews", json=body, headers=by("Ada"))


@pytest.fixture
def review(client, study):
    answer = new(client, study)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/api/reviews/{answer.json()['id']}"
    return answer.json()["id"]


@pytest.fixture
def do(client, review):
    def act(method, path, person, body=None):
        return client.request(method, f"/api/reviews/{review}{path}", json=body, headers=by(person))

    return act


def decide(do, person, decision, reason="Because."):
    return do("POST", "/decisions", person, {"decision": decision, "reason": reason})


def told(database, name):
    with database.read() as session:
        query = select(NotificationRow.kind, NotificationRow.text).join(
            PersonRow, PersonRow.id == NotificationRow.person_id
        )
        return [tuple(row) for row in session.execute(query.where(PersonRow.name == name).order_by(NotificationRow.id))]


# --- the way of a review ----------------------------------------------------------------------------------------------


def test_two_people_discuss_object_answer_and_approve(client, database, review, do):
    assert [kind for kind, _ in told(database, "Ben")] == ["review_asked"]
    (listed,) = client.get("/api/reviews", headers=by("Ben")).json()["items"]
    assert listed["status"] == "open"
    assert listed["asked"] == ["Approve, ask for changes or reject."]
    detail = client.get(f"/api/reviews/{review}", headers=by("Ben")).json()
    assert detail["missing"] == "0 of 1 approvals."
    assert detail["verification"]["intact"]
    assert detail["you"]["may_decide"]
    assert not detail["you"]["may_manage"]
    one = detail["compared"][0]
    thread = do(
        "POST",
        "/comments",
        "Ben",
        {"text": "Is @ada sure?", "anchor": {"kind": "setting", "setting_ids": [one["setting_id"]]}},
    ).json()["threads"][0]
    assert thread["comments"][0]["mentions"] == ["Ada"]
    assert thread["anchor"]["kind"] == "setting"
    assert told(database, "Ada") == [("review_mention", "Ben mentions you in the review 'Ship it?'.")]
    assert decide(do, "Ben", "request_changes", "More seeds.").json()["status"] == "changes_requested"
    asked = client.get("/api/reviews", headers=by("Ada")).json()["items"][0]["asked"]
    assert asked == ["Answer the changes that were asked for."]
    answered = do("POST", "/comments", "Ada", {"text": "Yes.", "thread": thread["id"]}).json()["threads"]
    assert [c["person"] for c in answered[0]["comments"]] == ["Ben", "Ada"]
    assert len(answered) == 1
    number = answered[0]["comments"][1]["id"]
    edited = do("PUT", f"/comments/{number}", "Ada", {"text": "Yes, by ten seeds."}).json()["threads"][0]["comments"][1]
    assert edited["text"] == "Yes, by ten seeds."
    assert edited["earlier"] == ["Yes."]
    assert edited["edited_at"]
    settled = do("POST", f"/threads/{thread['id']}/resolve", "Ben").json()["threads"][0]
    assert settled["resolved"]
    assert settled["resolved_by"] == "Ben"
    assert not do("POST", f"/threads/{thread['id']}/reopen", "Ada").json()["threads"][0]["resolved"]
    approved = decide(do, "Ben", "approve", "Good.").json()
    assert approved["status"] == "approved"
    assert approved["missing"] == "Approved: 1 of 1 approvals."
    assert [d["decision"] for d in approved["decisions"]] == ["approve"]
    back = do("POST", "/decisions/withdraw", "Ben", {"reason": "I was wrong."}).json()
    assert back["status"] == "open"
    assert back["decisions"] == []
    history = client.get(f"/api/reviews/{review}/events").json()["items"]
    assert [e["type"] for e in history] == [
        "opened", "commented", "decided", "commented", "edited", "resolved", "reopened", "decided", "withdrew",
    ]  # fmt: skip
    assert [e["number"] for e in history] == list(range(1, 10))
    assert back["verification"]["sentence"] == "History intact, 9 entries."
    assert back["verification"]["head"] == history[-1]["hash"]


def test_required_approvals_are_counted_of_approvers_alone(client, study):
    members = [{"name": n, "role": r} for n, r in (("B", "approver"), ("C", "approver"), ("D", "reviewer"))]
    review = new(client, study, members=members, required_approvals=2).json()["id"]

    def act(person, decision):
        body = {"decision": decision, "reason": "So."}
        return client.post(f"/api/reviews/{review}/decisions", json=body, headers=by(person)).json()

    assert act("D", "approve")["approvals"] == 0
    assert act("B", "approve")["status"] == "open"
    assert act("B", "approve")["approvals"] == 1, "twice by one person is one approval"
    assert act("C", "approve")["status"] == "approved"
    assert act("D", "reject")["status"] == "rejected"
    assert act("D", "request_changes")["status"] == "changes_requested"
    assert act("D", "approve")["status"] == "approved"


def test_an_opinion_is_not_made_into_an_approval_by_a_change_of_role(client, study):
    members = [{"name": "D", "role": "reviewer"}]
    review = new(client, study, members=members).json()["id"]

    def act(person, path, body, method="PUT"):
        return client.request(method, f"/api/reviews/{review}{path}", json=body, headers=by(person)).json()

    approval = {"decision": "approve", "reason": "Fine by me."}
    act("D", "/decisions", approval, "POST")
    promoted = act("Ada", "/members", {"name": "D", "role": "approver"})
    assert (promoted["status"], promoted["approvals"]) == ("open", 0)
    (made,) = promoted["decisions"]
    assert (made["role"], made["given_as"], made["counts"]) == ("approver", "reviewer", False)
    asked = client.get("/api/reviews", headers=by("D")).json()["items"][0]["asked"]
    assert asked == ["Approve, ask for changes or reject."]
    assert act("D", "/decisions", approval, "POST")["status"] == "approved"
    # Nor does an approval outlive the role it was given in.
    assert act("Ada", "/members", {"name": "D", "role": "reviewer"})["status"] == "open"
    assert act("Ada", "/members", {"name": "D", "role": "approver"})["status"] == "approved"


@pytest.mark.parametrize(
    ("person", "method", "path", "body", "said"),
    [
        ("Ada", "POST", "/decisions", {"decision": "approve", "reason": "Mine."}, "author"),
        ("Eve", "POST", "/decisions", {"decision": "approve", "reason": "Hm."}, "Only members"),
        ("Ben", "POST", "/decisions/withdraw", {"reason": "Hm."}, "no decision"),
        ("Ben", "PUT", "/members", {"name": "Eve", "role": "approver"}, "Only an author"),
        ("Ada", "PUT", "/members", {"name": "Ada", "role": "approver"}, "stays its author"),
        ("Ada", "PUT", "/members", {"name": "Ben", "role": "approver"}, "already"),
        ("Eve", "POST", "/threads/2/resolve", None, "Only members"),
        ("Ben", "POST", "/threads/2/reopen", None, "already"),
        ("Ben", "PUT", "/comments/2", {"text": "x"}, "Only Cleo"),
        ("Cleo", "PUT", "/comments/2", {"text": "Hello"}, "says that already"),
    ],
)
def test_what_is_not_allowed_is_refused_with_a_sentence_and_leaves_no_entry(
    do, client, review, person, method, path, body, said
):
    assert do("POST", "/comments", "Cleo", {"text": "Hello"}).status_code == 201
    answer = do(method, path, person, body)
    assert answer.status_code == 409, answer.text
    assert said in answer.json()["detail"], answer.text
    assert client.get(f"/api/reviews/{review}").json()["events"] == 2


@pytest.mark.parametrize("reason", ["", "   ", None])
def test_a_decision_needs_a_reason(do, reason):
    answer = do("POST", "/decisions", "Ben", {"decision": "approve", "reason": reason})
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == "reason"


def test_an_objection_is_not_got_rid_of_by_removing_who_made_it(do):
    decide(do, "Cleo", "reject")
    for role in (None, "author"):
        assert do("PUT", "/members", "Ada", {"name": "Cleo", "role": role}).status_code == 409
    do("POST", "/decisions/withdraw", "Cleo", {"reason": "Fine."})
    assert do("PUT", "/members", "Ada", {"name": "Cleo", "role": None}).status_code == 200


def test_who_was_an_author_never_approves(do):
    assert do("PUT", "/members", "Ada", {"name": "Cleo", "role": "author"}).status_code == 200
    assert do("PUT", "/members", "Ada", {"name": "Cleo", "role": "approver"}).status_code == 409
    assert do("PUT", "/members", "Ada", {"name": "Cleo", "role": "reviewer"}).status_code == 200
    assert decide(do, "Cleo", "approve").status_code == 409


def test_mentions_take_the_longest_name_and_no_part_of_a_word(client, do):
    for name in ("Ann", "Ann Lee", "Bo"):
        client.put("/api/people/me", json={}, headers=by(name))
    comment = do("POST", "/comments", "Ben", {"text": "@Ann Lee, @bo! mail@Bo @Anna @Nobody @Ann"}).json()
    assert comment["threads"][0]["comments"][0]["mentions"] == ["Ann Lee", "Bo", "Ann"]


@pytest.mark.parametrize(
    ("anchor", "field"),
    [
        ({"kind": "setting", "setting_ids": [10**6]}, "anchor.setting_ids"),
        ({"kind": "run", "run_ids": ["nope"]}, "anchor.run_ids"),
        ({"kind": "subgroup", "subgroup": "sex=Other"}, "anchor.subgroup"),
        ({"kind": "metric", "metric": "beauty"}, "anchor.metric"),
        ({"kind": "run"}, "anchor"),
    ],
)
def test_an_anchor_that_is_not_in_the_snapshot_is_refused(do, anchor, field):
    answer = do("POST", "/comments", "Ben", {"text": "Here", "anchor": anchor})
    assert answer.status_code == 422, answer.text
    assert answer.json()["problems"][0]["field"].startswith(field), answer.text


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"setting_ids": [10**6]}, 422, "setting_ids.0"),
        ({"setting_ids": []}, 422, "setting_ids"),
        ({"job_ids": ["nothing"]}, 404, None),
        ({"members": [{"name": "Ada", "role": "approver"}]}, 422, "members.0.role"),
        ({"view": {"x": "y" * 30_000}}, 422, "view"),
        ({"operating_point": "nothing"}, 404, None),
        ({"title": "  "}, 422, "title"),
    ],
)
def test_a_review_of_what_is_not_there_is_refused(client, study, stored, changes, status, field):
    before = stored()
    answer = new(client, study, **changes)
    assert answer.status_code == status, answer.text
    assert field is None or answer.json()["problems"][0]["field"] == field
    assert stored() == before


def test_html_and_formulas_are_kept_as_they_are_and_answered_as_json(client, study):
    mean = "<img src=x onerror=alert(1)>=1+1"
    review = new(client, study, title=mean, members=[{"name": mean, "role": "approver"}]).json()["id"]
    answer = client.get(f"/api/reviews/{review}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["title"] == mean
    assert answer.headers["x-content-type-options"] == "nosniff"


# --- the snapshot -----------------------------------------------------------------------------------------------------


def test_the_snapshot_is_what_was_measured(client, study, review):
    snapshot = client.get(f"/api/reviews/{review}/snapshot").json()
    measured = {}
    for one in client.get(f"/api/measurements?job_id={study}&limit=1000").json()["items"]:
        measured[one["run_id"], one["metric"], one["subgroup"], one["split"]] = one
    page = client.get(f"/api/measurements?job_id={study}&limit=1000").json()
    while page["next"]:
        page = client.get(f"/api/measurements?job_id={study}&limit=1000&cursor={page['next']}").json()
        measured |= {(m["run_id"], m["metric"], m["subgroup"], m["split"]): m for m in page["items"]}
    seen = 0
    for series in snapshot["series"]:
        for setting, cell in zip(snapshot["settings"], series["cells"], strict=True):
            if cell is None:
                continue
            own = [
                measured[run["id"], series["metric"], series["subgroup"], series["split"]] for run in setting["runs"]
            ]
            assert cell["values"] == [one["value"] for one in own]
            assert cell["mean"] == pytest.approx(np.mean(cell["values"]))
            assert cell["n"] == own[0]["n"]
            assert cell["seeds"] == len(own)
            seen += len(own)
    frozen = {run["id"] for setting in snapshot["settings"] for run in setting["runs"]}
    assert seen == sum(key[0] in frozen and one["value"] is not None for key, one in measured.items()) > 100
    assert all(len(one["hash"]) == 64 and one["data_hash"] == "aa" * 32 for one in snapshot["settings"])
    assert snapshot["cut"] is None
    assert {m["name"] for m in snapshot["metrics"]} >= {"loss", "accuracy"}


def test_a_snapshot_is_cut_in_a_stated_order_and_says_so(client, study, monkeypatch):
    from backend.api.services import review_snapshot

    monkeypatch.setattr(review_snapshot, "MOST_VALUES", 90)
    review = new(client, study).json()
    snapshot = client.get(f"/api/reviews/{review['id']}/snapshot").json()
    assert len(snapshot["series"]) == 10
    assert {one["split"] for one in snapshot["series"]} == {"test"}
    assert snapshot["cut"].startswith("10 of ")
    assert review["cut"] == snapshot["cut"]


def test_deleting_the_study_leaves_the_review_whole_and_is_told(client, study, review):
    before = client.get(f"/api/reviews/{review}/comparison").json()
    assert client.delete(f"/api/jobs/{study}").status_code == 204
    detail = client.get(f"/api/reviews/{review}").json()
    assert detail["verification"]["intact"]
    assert [job["id"] for job in detail["newer"]["deleted_jobs"]] == [study]
    assert "was deleted" in detail["newer"]["sentence"]
    assert client.get(f"/api/reviews/{review}/comparison").json() == before


def drawn(client, review, **how):
    return client.get(f"/api/reviews/{review}/tradeoff", params=how)


def points(figure):
    """(x, y) of every marked setting of a figure."""
    return {
        setting: (x, y)
        for trace in figure["figure"]["data"]
        if "markers" in trace.get("mode", "") and trace.get("hoverinfo") == "text"
        for setting, x, y in zip(trace["meta"]["settings"], trace["x"], trace["y"], strict=True)
    }


@pytest.mark.parametrize(
    "view", [{}, {"x": "loss", "y": "accuracy", "subgroup": "sex=Female"}, {"x": "training.learning_rate", "y": "loss"}]
)
def test_the_tradeoff_is_frozen_and_outlives_its_study(client, database, study, view):
    ids = settings_of(client, study)
    review = new(client, study, view=view, setting_ids=ids[:3]).json()["id"]
    looks = [{}, {"theme": "dark"}, {"width": 340}]
    before = [drawn(client, review, **look).content for look in looks]
    figure = drawn(client, review).json()
    live = {"job_id": study, "y": "loss_gap"} | view
    shown = client.get("/api/figures/tradeoff", params=live).json()
    assert points(figure) == points(shown) != {}
    assert {key: figure[key] for key in ("title", "caption", "rows", "columns", "row_settings", "supported")} == {
        key: shown[key] for key in ("title", "caption", "rows", "columns", "row_settings", "supported")
    }
    assert set(ids[:3]) & {one for one in figure["row_settings"] if one is not None}
    for trace in figure["figure"]["data"]:
        if "selectedpoints" in trace:
            lit = [trace["meta"]["settings"][place] for place in trace["selectedpoints"]]
            assert lit == [one for one in trace["meta"]["settings"] if one in ids[:3]]
    frozen = client.get(f"/api/reviews/{review}/snapshot").json()["tradeoff"]
    report = client.get(f"/api/reports/reviews/{review}").text
    assert frozen["sentence"] in report
    more = client.post("/api/jobs", json=synthetic.spec(seeds=6)).json()["id"]
    synthetic.measure(database, more)
    for job in (study, more):
        assert client.delete(f"/api/jobs/{job}").status_code == 204
    assert [drawn(client, review, **look).content for look in looks] == before
    assert client.get(f"/api/reviews/{review}/verification").json()["intact"]


def test_compared_settings_are_in_the_tradeoff_whatever_it_leaves_out(client, database, study, monkeypatch):
    from backend.api.services import review_tradeoff

    monkeypatch.setattr(review_tradeoff, "MOST_SETTINGS", 4)
    ids = settings_of(client, study)
    last = ids[-3:]
    review = new(client, study, setting_ids=last).json()["id"]
    frozen = client.get(f"/api/reviews/{review}/snapshot").json()["tradeoff"]
    kept = [one["setting_id"] for one in frozen["settings"]]
    assert len(kept) == 4 < len(ids)
    assert set(last) <= set(kept)
    assert f"4 of {len(ids)} settings kept" in frozen["caption"]


def test_an_edit_of_the_frozen_tradeoff_is_found(client, database, review):
    body = client.get(f"/api/reviews/{review}/snapshot").json()
    body["tradeoff"]["settings"][0]["y"][0] = 0.5
    hand(database)
    with database.write() as session:
        session.execute(update(ReviewRow).where(ReviewRow.id == review).values(snapshot=body))
    assert not client.get(f"/api/reviews/{review}/verification").json()["intact"]


def test_a_snapshot_of_the_first_format_stays_readable_and_verified(client, database, review):
    body = client.get(f"/api/reviews/{review}/snapshot").json()
    old = {name: value for name, value in body.items() if name != "tradeoff"} | {
        "format": 1,
        "review_id": "old000000001",
    }
    like = SimpleNamespace(
        model_dump=lambda mode: old,
        review_id=old["review_id"],
        title=old["title"],
        moment=datetime.fromisoformat(old["moment"]),
    )
    opened = client.get(f"/api/reviews/{review}/events").json()["items"][0]["data"]
    with database.write() as session:
        reviews.create(session, "Ada", like, reviews.Draft("opened", opened))
    assert client.get(f"/api/reviews/{like.review_id}").json()["verification"]["intact"]
    read = client.get(f"/api/reviews/{like.review_id}/snapshot").json()
    assert (read["format"], read["tradeoff"]) == (1, None)
    figure = drawn(client, like.review_id).json()
    assert figure["empty"] is None
    compared = {one["setting_id"] for one in old["settings"]}
    assert {one for one in figure["row_settings"] if one} == compared
    assert client.get(f"/api/reports/reviews/{like.review_id}").status_code == 200


def test_new_results_are_announced_once_and_change_nothing(client, database, study, review):
    before = client.get(f"/api/reviews/{review}/snapshot").json()
    assert client.get(f"/api/reviews/{review}").json()["newer"]["runs"] == 0
    for seeds in (5, 6):
        job = client.post("/api/jobs", json=synthetic.spec(seeds=seeds)).json()["id"]
        synthetic.measure(database, job)
    newer = client.get(f"/api/reviews/{review}").json()["newer"]
    assert newer["runs"] == newer["of_settings"] == 9
    assert len(newer["run_ids"]) == 9
    assert [kind for kind, _ in told(database, "Ben")] == ["review_asked", "review_new_results"]
    assert client.get(f"/api/reviews/{review}/snapshot").json() == before


@pytest.mark.parametrize(
    ("bound", "p", "said"), [(9.0, 1e-6, "refutes the claimed"), (9.0, 0.04, "lies above"), (0.5, 0.9, None)]
)
def test_an_audit_bound_above_the_claim_is_an_alarm_on_the_review(client, database, bound, p, said):
    job = client.post("/api/jobs", json=synthetic.spec(methods=[{"name": "dp_sgd"}], seeds=2)).json()["id"]
    with database.write() as session:
        attempt = jobs.claim(session, job, "w")
        configs = runs.pending(session, job)
        runs.claim(session, job, attempt, [c.key() for c in configs])
        for config in configs:
            audit = [
                Measurement(metric="audit_epsilon", value=bound),
                Measurement(metric="audit_p_at_claim", value=p),
            ]
            result = RunResult(key=config.key(), status="succeeded", measurements=audit)
            runs.write_result(session, job, attempt, result)
        jobs.finish(session, job, attempt, "succeeded")
    detail = new(client, job, setting_ids=settings_of(client, job)).json()
    assert len(detail["alarms"]) == (0 if said is None else 2)
    assert said is None or all(said in alarm for alarm in detail["alarms"])
    assert all(one["above_claim"] == (bound > 3) for one in detail["compared"][0]["audits"])


# --- the comparison ---------------------------------------------------------------------------------------------------


def test_every_pair_is_tested_over_shared_seeds_and_corrected_together(client, database):
    from scipy import stats

    job = client.post("/api/jobs", json=synthetic.spec(seeds=8)).json()["id"]
    synthetic.measure(database, job)
    review = new(client, job, setting_ids=settings_of(client, job)[:4]).json()["id"]
    url = f"/api/reviews/{review}/comparison?metric=loss_gap&metric=loss&subgroup=sex&subgroup=all"
    found = client.get(url).json()
    assert [(row["metric"], row["subgroup"]) for row in found["rows"]] == [("loss_gap", "sex"), ("loss", "all")]
    tests = [(row, test) for row in found["rows"] for test in row["tests"]]
    assert len(tests) == found["tests"] == 2 * 6
    ids = [one["setting_id"] for one in found["settings"]]
    for row, test in tests:
        a = np.array(row["cells"][ids.index(test["a"])]["values"])
        b = np.array(row["cells"][ids.index(test["b"])]["values"])
        assert test["p"] == pytest.approx(stats.wilcoxon(a, b, method="exact").pvalue)
        assert test["difference"] == pytest.approx((a - b).mean())
        low, high = stats.t.interval(0.95, 7, (a - b).mean(), stats.sem(a - b))
        assert (test["low"], test["high"]) == pytest.approx((low, high))
        assert test["p_permutation"] == pytest.approx(sign_flip(a, b))
        assert test["pairs"] == 8
        assert test["reachable"]
    assert [t["corrected"] for _, t in tests] == pytest.approx(holm([t["p"] for _, t in tests]))
    assert {p["name"] for p in found["parameters"] if p["differs"]} >= {"method", "method.epsilon"}
    best = found["rows"][0]["best"]
    means = [cell["mean"] for cell in found["rows"][0]["cells"]]
    assert best == [ids[int(np.argmin(means))]]


def corrected_by_hand(p):
    """Holm's correction as its definition reads."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    answer, running = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        answer[i] = running
    return answer


def test_by_default_a_few_stated_figures_are_tested_and_all_on_request(client, database):
    from scipy import stats

    job = client.post("/api/jobs", json=synthetic.spec(seeds=8)).json()["id"]
    synthetic.measure(database, job)
    view = {"x": "epsilon", "y": "loss_gap", "subgroup": "sex"}
    review = new(client, job, setting_ids=settings_of(client, job)[:2], view=view).json()["id"]
    found = client.get(f"/api/reviews/{review}/comparison").json()
    tested = [row for row in found["rows"] if row["tests"]]
    assert len(found["rows"]) > 2 * len(tested), "all subgroups are shown"
    by_group = {
        row["subgroup"]: sum(cell["mean"] for cell in row["cells"])
        for row in found["rows"]
        if row["metric"] == "loss" and row["subgroup"].startswith("sex=") and "&" not in row["subgroup"]
    }
    worst = max(by_group, key=by_group.get)
    family = {(row["metric"], row["subgroup"]) for row in tested}
    assert family == {("loss_gap", "sex"), ("loss", "all"), ("loss", worst)}
    ids = [one["setting_id"] for one in found["settings"]]
    p = []
    for row in tested:
        (test,) = row["tests"]
        a, b = (np.array(row["cells"][ids.index(test[side])]["values"]) for side in ("a", "b"))
        p.append(stats.wilcoxon(a, b, method="exact").pvalue)
    assert [row["tests"][0]["corrected"] for row in tested] == pytest.approx(corrected_by_hand(p))
    assert found["tests"] == 3
    assert "3 tests, 3 figures for 1 pair of settings, Holm-corrected together" in found["family"]
    assert found["family"] in html.unescape(client.get(f"/api/reports/reviews/{review}").text)
    whole = client.get(f"/api/reviews/{review}/comparison?tests=all").json()
    assert whole["tests"] == len(whole["rows"]) == len(found["rows"])
    assert whole["family"].startswith("All figures shown are tested")
    named = client.get(f"/api/reviews/{review}/comparison?metric=loss").json()
    assert named["tests"] == len(named["rows"]), "what was asked for by name is tested"


def test_choosing_the_worst_off_group_by_both_settings_keeps_the_level():
    from scipy import stats

    from backend.analysis.side_by_side import primary
    from backend.contracts.catalogue import MetricInfo
    from backend.contracts.reviews import Snapshot, SnapshotCell, SnapshotSeries

    loss = MetricInfo(name="loss", title="Loss", explanation="", family="f", higher_is_better=False, kind="utility")
    claims, sets = 0, 1000
    for number in range(sets):
        random = np.random.default_rng(number)
        shared = random.normal(size=8)
        series, drawn = [], {}
        for group in range(8):
            pair = shared + random.normal(size=(2, 8)) * (1 + group)
            drawn[f"race={group}"] = pair
            cells = [
                SnapshotCell(mean=float(v.mean()), low=None, high=None, seeds=8, n=100, values=v.tolist()) for v in pair
            ]
            series.append(SnapshotSeries(metric="loss", subgroup=f"race={group}", split="test", cells=cells))
        snapshot = Snapshot.model_construct(series=series, metrics=[loss], view={"y": "loss"}, settings=[])
        chosen = primary(snapshot, "test")[-1].subgroup
        assert drawn[chosen].sum() == pytest.approx(max(pair.sum() for pair in drawn.values()))
        claims += stats.wilcoxon(*drawn[chosen], method="exact").pvalue < 0.05
    assert stats.binomtest(claims, sets, 0.05, alternative="greater").pvalue > 0.01, f"{claims} of {sets}"


def test_with_three_seeds_it_is_said_that_no_test_can_reach_the_level(client, review):
    found = client.get(f"/api/reviews/{review}/comparison").json()
    assert any("no test can reach" in note for note in found["notes"])
    assert found["findings"] == []
    assert all("no test can reach" in test["sentence"] for row in found["rows"] for test in row["tests"])
    assert any(row["small"] for row in found["rows"]) is False or any("small" in note for note in found["notes"])


# --- tampering --------------------------------------------------------------------------------------------------------


def hand(database, *statements):
    """Changes the database by hand, past its triggers, as somebody with intent would."""
    with database.write() as session:
        if database.kind == "sqlite":
            for name in (
                "review_events_no_update",
                "review_events_no_delete",
                "reviews_no_update",
                "reviews_no_delete",
            ):
                session.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
        else:
            session.execute(text("ALTER TABLE reviews DISABLE TRIGGER USER"))
            session.execute(text("ALTER TABLE review_events DISABLE TRIGGER USER"))
        for statement in statements:
            session.execute(text(statement))


DATA = "REPLACE(CAST(data AS TEXT), 'Two', 'Too')"
TAMPERED = {
    "an edited text": (
        [f"UPDATE review_events SET data = {DATA} WHERE number = 3"],
        "Entry 3 (commented by Ben) was edited",
    ),
    "an edited moment": (
        ["UPDATE review_events SET created_at = '2020-01-01 00:00:00' WHERE number = 2"],
        "Entry 2 (commented by Ben) was edited",
    ),
    "another person": (
        ["UPDATE review_events SET person_id = 1 WHERE number = 3"],
        "Entry 3 (commented by Ada) was edited",
    ),
    "a renamed person": (
        ["UPDATE people SET name = 'Bob' WHERE name = 'Ben'"],
        "Entry 2 (commented by Bob) was edited",
    ),
    "another type": (["UPDATE review_events SET type = 'xyz' WHERE number = 3"], "Entry 3 (xyz by Ben) was edited"),
    "no JSON any more": (
        ["UPDATE review_events SET data = 'null' WHERE number = 3"],
        "Entry 3 (commented by Ben) was edited",
    ),
    "a removed middle": (["DELETE FROM review_events WHERE number = 3"], "Entry 3 is missing"),
    "a removed end": (["DELETE FROM review_events WHERE number = 4"], "Entry 4 is missing"),
    "a removed beginning": (["DELETE FROM review_events WHERE number = 1"], "Entry 1 is missing"),
    "everything removed": (["DELETE FROM review_events"], "Entry 1 is missing"),
    "changed order": (
        [f"UPDATE review_events SET number = {b} WHERE number = {a}" for a, b in ((2, 9), (3, 2), (9, 3))],
        "Entry 2 (commented by Ben) was moved: it was written as entry 3",
    ),
    "an edited snapshot": (
        ["UPDATE reviews SET snapshot = REPLACE(CAST(snapshot AS TEXT), 'DP-SGD', 'DP-SGX')"],
        "The snapshot was edited",
    ),
    "an edited snapshot hash": ([f"UPDATE reviews SET snapshot_hash = '{'0' * 64}'"], "The snapshot was edited"),
    "an unreadable snapshot": (["UPDATE reviews SET snapshot = '[]'"], "The snapshot was edited"),
    "an edited title": (["UPDATE reviews SET title = 'Other'"], "The header was edited: its title"),
    "an edited status": (["UPDATE reviews SET status = 'approved'"], "The header was edited: it says approved"),
    "an edited count": (["UPDATE reviews SET events = 3"], "The header was edited: it counts 3"),
    "an edited head": (
        [f"UPDATE reviews SET head_hash = '{'0' * 64}'"],
        "The header was edited: it names another last",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_shown_precisely_and_ends_all_decisions(client, database, review, do, what):
    for words in ("One", "Two", "Three"):
        do("POST", "/comments", "Ben", {"text": words})
    statements, said = TAMPERED[what]
    if database.kind == "postgresql":
        statements = [s.replace("AS TEXT), 'Two', 'Too')", "AS TEXT), 'Two', 'Too')::json") for s in statements]
        statements = [s.replace("'DP-SGX')", "'DP-SGX')::json") for s in statements]
    hand(database, *statements)
    detail = client.get(f"/api/reviews/{review}").json()
    verification = detail["verification"]
    assert not verification["intact"]
    assert said in " ".join(verification["problems"])
    assert "altered" in detail["missing"]
    assert client.get(f"/api/reviews/{review}/events").status_code == 200
    assert client.get("/api/reviews").status_code == 200
    refused = decide(do, "Ben", "approve")
    assert refused.status_code == 409
    assert "altered outside" in refused.json()["detail"]
    assert client.get(f"/api/reviews/{review}/verification").json() == verification


def test_a_whole_new_chain_is_found_by_who_noted_a_hash(client, database, review, do):
    noted = do("POST", "/comments", "Ben", {"text": "One"}).json()["verification"]["head"]
    with database.read() as session:
        first = session.execute(text("SELECT hash FROM review_events WHERE number = 1")).scalar_one()
    hand(
        database, "DELETE FROM review_events WHERE number = 2", f"UPDATE reviews SET events = 1, head_hash = '{first}'"
    )
    assert client.get(f"/api/reviews/{review}/verification").json()["intact"]
    remembered = client.get(f"/api/reviews/{review}/verification?head={noted}").json()
    assert not remembered["intact"]
    assert "rewritten" in remembered["sentence"]
    assert client.get(f"/api/reviews/{review}/verification?head={first}").json()["intact"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE review_events SET type = 'x'",
        "DELETE FROM review_events",
        "UPDATE reviews SET snapshot = '{}'",
        "UPDATE reviews SET title = 'x'",
        "DELETE FROM reviews",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_written(database, review, stored, statement):
    from sqlalchemy.exc import DatabaseError

    before = stored()
    with pytest.raises(DatabaseError, match="only grows"), database.write() as session:
        session.execute(text(statement))
    assert stored() == before


def test_two_at_the_same_moment_both_land_and_the_chain_holds(client, database, review):
    start = threading.Barrier(8)

    def say(who):
        start.wait()
        for turn in range(5):
            body = {"text": f"{who} {turn}"}
            answer = client.post(f"/api/reviews/{review}/comments", json=body, headers=by(f"P{who}"))
            answers.append(answer.status_code)

    answers = []
    threads = [threading.Thread(target=say, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 40
    detail = client.get(f"/api/reviews/{review}").json()
    assert detail["verification"]["intact"]
    assert detail["events"] == 41
    assert len(detail["threads"]) == 40


def test_lists_and_history_are_paged_and_filtered(client, study, do, review):
    for number in range(4):
        new(client, study, title=f"Number {number}_")
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/api/reviews?limit=2{'&cursor=' + cursor if cursor else ''}").json()
        seen += [one["title"] for one in page["items"]]
        cursor = page["next"]
    assert seen == ["Number 3_", "Number 2_", "Number 1_", "Number 0_", "Ship it?"]
    assert len(client.get("/api/reviews?text=r 3_").json()["items"]) == 1
    assert client.get("/api/reviews?status=approved").json()["items"] == []
    for words in ("a", "b"):
        do("POST", "/comments", "Ben", {"text": words})
    first = client.get(f"/api/reviews/{review}/events?limit=2").json()
    rest = client.get(f"/api/reviews/{review}/events?limit=2&cursor={first['next']}").json()
    assert [e["number"] for e in first["items"] + rest["items"]] == [1, 2, 3]
    assert rest["next"] is None
    assert client.get("/api/reviews/nothing").status_code == 404
    assert client.get(f"/api/reviews/{review}/events?cursor=x").status_code == 422


def test_the_export_can_be_verified_elsewhere(client, do, review):
    from backend.contracts.reviews import ReviewExport
    from backend.contracts.runs import canonical_hash

    do("POST", "/comments", "Ben", {"text": "One"})
    body = client.get(f"/api/reviews/{review}/export").json()
    ReviewExport.model_validate(body)
    before = canonical_hash(body["snapshot"])
    for entry in body["history"]:
        assert entry["previous"] == before
        moment = entry["created_at"].replace("Z", "+00:00")
        moment = moment if "." in moment else moment.replace("+", ".000000+")
        content = {k: entry[k] for k in ("number", "type", "person", "data", "previous")}
        before = canonical_hash({"review": review, "moment": moment, **content})
        assert entry["hash"] == before


def test_the_store_keeps_the_snapshot_digit_for_digit(client, database, review):
    with database.read() as session:
        row = session.get(ReviewRow, review)
        assert reviews.load(session, review).snapshot == row.snapshot


# --- client and command line ------------------------------------------------------------------------------------------


def test_reviews_from_the_shell(client, database, review, do, shell):
    head = decide(do, "Ben", "approve", "Good \x1b[31mred").json()["verification"]["head"]
    listed = shell("review", "list", "--status", "approved").stdout
    assert review in listed
    assert "1/1" in listed
    assert shell("review", "list", "--status", "open").stdout == ""
    shown = shell("review", "show", review).stdout
    assert "Ben (approver): approve. Good  [31mred" in shown
    assert "\x1b" not in shown
    intact = shell("review", "verify", review, "--head", head)
    assert intact.exit_code == 0
    assert "History intact, 2 entries." in intact.stdout
    exported = shell("review", "export", review)
    assert exported.exit_code == 0
    assert f'"{head}"' in exported.stdout
    hand(database, "DELETE FROM review_events WHERE number = 2")
    broken = shell("review", "verify", review)
    assert broken.exit_code == 1
    assert "Entry 2 is missing" in broken.stdout
