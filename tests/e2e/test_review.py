"""A review by two people in two browsers: from a selection to an approval, with everything said in between."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.e2e._server import running, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 1_000
ADA, BEN, CLEO, DAN = "Ada Lovelace", "Ben <b>Okri</b>", "Cleo", "Dan"
STUDY = {
    "name": "To be reviewed",
    "dataset": {"name": "adult", "params": {"limit": 2000}, "subgroups": ["sex", "race"]},
    "model": {"name": "mlp", "params": {"hidden": [4]}},
    "methods": [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1, 4]}}],
    "training": {"epochs": 2, "learning_rate": 0.3},
    "seeds": 2,
}
ITEMS = 'content,method\n"<script>window.pwned=1</script> good",dp_sgd\n"bad, text",sgd\nfine,sgd\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("review")) as one:
        yield one


@pytest.fixture(scope="module")
def study(server):
    job = server.submit(STUDY)
    return server.wait_until(job["id"], lambda job: job["status"] == "succeeded")


@pytest.fixture(scope="module")
def settings(server, study):
    return list(dict.fromkeys(run["setting_id"] for run in server.runs(study["id"])))


@pytest.fixture
def visitor(chromium, server):
    """Opens a browser of somebody: each has storage of their own."""
    contexts, errors = [], []

    def come(name: str | None, width: int = 1440, **options) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, base_url=server.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        if name:
            page.goto("/reviews")
            page.evaluate("name => localStorage.setItem('equipoise-person', name)", name)
        return page

    yield come
    for context in contexts:
        context.close()
    assert errors == []


def opened(server, study, settings, title: str, **more):
    """A review made without the page."""
    return _post(
        server,
        "/api/reviews",
        ADA,
        {
            "title": title,
            "job_ids": [study["id"]],
            "setting_ids": settings[:2],
            "members": [{"name": BEN, "role": "approver"}],
            **more,
        },
    )


def _post(server, path: str, who: str, body):
    answer = server.http.post(server.url + path, json=body, headers={"Equipoise-Person": quote(who)})
    assert answer.is_success, answer.text
    return answer.json()


def comment(page: Page, text: str) -> None:
    page.get_by_role("textbox", name=re.compile("^Comment on")).fill(text)
    page.get_by_role("button", name="Comment", exact=True).click()


def decide(page: Page, verdict: str, reason: str) -> None:
    page.get_by_role("radio", name=verdict).check()
    page.get_by_role("textbox", name="Reason").fill(reason)
    page.get_by_role("button", name="Decide").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^Yes")).click()


def test_two_people_decide(server, study, settings, visitor):
    ada = visitor(None)
    # As the selection bar of Explore links here.
    ada.goto(f"/explore?jobs={study['id']}&select={settings[0]},{settings[1]}")
    ada.get_by_role("link", name=re.compile("review", re.IGNORECASE)).filter(
        has_not_text=re.compile("^Reviews$")
    ).first.click()
    expect(ada).to_have_url(re.compile(rf"/reviews/new\?jobs={study['id']}&settings="))
    expect(ada.get_by_text("2 of at most 6 chosen")).to_be_visible(timeout=30 * SECONDS)
    start = ada.get_by_role("button", name="Freeze the numbers and start")
    expect(start).to_be_disabled()
    ada.get_by_role("textbox", name="Your name, to be its author").fill(ADA)
    ada.get_by_role("button", name="Save").click()
    ada.get_by_role("textbox", name="Title").fill("Which ε do we ship")
    ada.get_by_role("textbox", name="Question").fill("Is ε = 1 <i>worth</i> it?")
    ada.reload()
    expect(ada.get_by_role("textbox", name="Title")).to_have_value("Which ε do we ship")
    ada.get_by_role("combobox", name="Name").fill(BEN)
    ada.get_by_role("button", name="Add member").click()
    start.click()
    expect(ada.get_by_role("heading", level=1)).to_have_text("Which ε do we ship")
    expect(ada.get_by_text("0 of 1 approvals.").first).to_be_visible()
    expect(ada.get_by_text("Is ε = 1 <i>worth</i> it?")).to_be_visible()

    # A comment about a setting, with a mention that the keyboard completes.
    ada.get_by_role("button", name=re.compile("^Comment on A:")).first.click()
    box = ada.get_by_role("textbox", name=re.compile("^Comment on A:"))
    expect(box).to_be_focused()
    box.press_sequentially("Please look, @Ben")
    expect(ada.get_by_role("option", name=BEN)).to_be_visible()
    box.press("Enter")
    expect(box).to_have_value(f"Please look, @{BEN} ")
    box.press("Control+Enter")
    thread = ada.get_by_role("list", name="Threads").get_by_role("listitem").first
    expect(thread.get_by_role("button", name=re.compile("^A:"))).to_be_visible()
    expect(ada.get_by_role("button", name=re.compile("^Comment on A:.*1 open thread")).first).to_be_visible()

    # The other person finds it in the list, answers, and asks for changes.
    ben = visitor(BEN)
    ben.goto("/reviews")
    expect(ben.get_by_text("Asked of you: Approve, ask for changes or reject.")).to_be_visible()
    ben.get_by_role("link", name="Which ε do we ship").click()
    there = ben.get_by_role("list", name="Threads")
    there.get_by_role("button", name="Answer").click()
    there.get_by_role("textbox", name=re.compile("^Answer in thread")).fill("<img src=x onerror=alert(1)> I did")
    there.get_by_role("button", name="Answer", exact=True).click()
    # Without a reload, and read out.
    expect(ada.get_by_text("<img src=x onerror=alert(1)> I did").first).to_be_visible(timeout=15 * SECONDS)
    expect(ada.get_by_role("status", name="New comments")).to_contain_text("I did")
    ben.get_by_role("button", name="Decide").click()
    expect(ben.get_by_text("Say why: a decision without a reason helps nobody later.")).to_be_visible()
    decide(ben, "Request changes", "Ten seeds, please")
    expect(ben.get_by_text("changes requested").first).to_be_visible()
    expect(ada.get_by_text("changes requested").first).to_be_visible(timeout=15 * SECONDS)
    expect(ada.get_by_text("Answer the changes that were asked for.")).to_be_visible()

    # The author answers, resolves, edits; the approver approves.
    ada.get_by_role("button", name="Edit", exact=True).click()
    ada.get_by_role("textbox", name="Edit your comment").fill("Look again")
    ada.get_by_role("button", name="Save", exact=True).click()
    expect(ada.get_by_text("edited", exact=True)).to_be_visible()
    ada.get_by_role("button", name="Resolve", exact=True).click()
    expect(ada.get_by_text("No such thread.")).to_be_visible()
    ada.get_by_text("Resolved 1").click()
    expect(ada.get_by_text(f"resolved by {ADA}")).to_be_visible()
    ada.get_by_role("button", name="Reopen", exact=True).click()
    decide(ben, "Approve", "It holds")
    expect(ben.get_by_text("Approved: 1 of 1 approvals.").first).to_be_visible()
    expect(ada.get_by_text("Approved: 1 of 1 approvals.").first).to_be_visible(timeout=15 * SECONDS)
    ada.get_by_role("tab", name=re.compile("^History")).click()
    expect(ada.get_by_text(re.compile(r"History intact, \d+ entries\."))).to_be_visible()
    history = ada.get_by_role("list", name="Entries, oldest first")
    expect(history).to_contain_text("asked for changes: Ten seeds, please")
    expect(history).to_contain_text("approved: It holds")
    assert ada.locator("main img, main script").count() == 0


def test_a_refused_comment_comes_back_and_a_draft_survives(server, study, settings, visitor):
    review = opened(server, study, settings, "Refusals")
    page = visitor(BEN)
    page.goto(f"/reviews/{review['id']}")
    box = page.get_by_role("textbox", name=re.compile("^Comment on"))
    box.fill("half a thought")
    page.reload()
    expect(box).to_have_value("half a thought")
    page.route("**/comments", lambda route: route.abort())
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="The server does not answer")).to_be_visible()
    expect(box).to_have_value("half a thought")
    expect(page.get_by_role("list", name="Threads").get_by_role("listitem")).to_have_count(0)
    page.unroute("**/comments")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.get_by_role("list", name="Threads").get_by_text("half a thought")).to_be_visible()
    expect(box).to_have_value("")


def test_an_altered_row_is_an_alarm(server, study, settings, visitor):
    review = opened(server, study, settings, "Tampered with")
    page = visitor(BEN)
    page.goto(f"/reviews/{review['id']}")
    comment(page, "The gap is too large")
    # Shown at once; it can be answered as soon as it is written.
    expect(page.get_by_role("list", name="Threads").get_by_role("button", name="Answer")).to_be_visible()
    with sqlite3.connect(server.data_dir / "equipoise.sqlite", timeout=30) as database:
        # Whoever may write to the file may also take its guard away.
        database.execute("DROP TRIGGER review_events_no_update")
        changed = database.execute(
            "UPDATE review_events SET data = replace(data, 'too large', 'quite small') WHERE type = 'commented'"
            " AND data LIKE '%too large%'"
        )
        assert changed.rowcount == 1
    database.close()
    alarm = page.get_by_role("alert").filter(has_text="This review was altered outside of it")
    expect(alarm).to_be_visible(timeout=15 * SECONDS)
    expect(alarm).to_contain_text(f"Entry 2 (commented by {BEN}) was edited.")
    expect(page.get_by_text("altered", exact=True)).to_be_visible()
    # Nobody decides on it or adds to it any more.
    for button in ("Decide", "Comment", "Answer"):
        expect(page.get_by_role("button", name=button, exact=True)).to_have_count(0)
    page.get_by_role("tab", name=re.compile("^History")).click()
    expect(page.get_by_text(re.compile("History intact"))).to_have_count(0)


def test_texts_are_rated_blind(server, study, settings, visitor):
    review = opened(server, study, settings, "Ratings")
    ada = visitor(ADA)
    ada.goto(f"/reviews/{review['id']}?tab=ratings")
    ada.get_by_role("button", name="New rating task").click()
    ada.get_by_role("textbox", name="Title").fill("How toxic")
    ada.get_by_role("textbox", name="Warning").fill("Some of these texts may hurt.")
    items = ada.get_by_role("textbox", name="Items, as CSV")
    items.fill("text\nx")
    expect(ada.get_by_text(re.compile("Expected a first line with a column"))).to_be_visible()
    ada.get_by_label("CSV file with items").set_input_files(
        {"name": "items.csv", "mimeType": "text/csv", "buffer": ITEMS.encode()}
    )
    expect(ada.get_by_text("Hidden: method.")).to_be_visible()
    raters = ada.get_by_role("combobox", name="Raters")
    for name in (ADA, BEN):
        raters.fill(name)
        raters.press("Enter")
    ada.get_by_role("button", name="Ask for ratings").click()
    expect(ada.get_by_role("heading", level=1)).to_have_text("How toxic")
    address = ada.url

    ben = visitor(BEN)
    ben.goto(address)
    expect(ben.get_by_text("Some of these texts may hurt.")).to_be_visible()
    ben.keyboard.press("1")
    expect(ben.get_by_text("Item 1 of 3, 0 answered")).to_be_visible()
    ben.get_by_role("button", name="Show the texts").click()
    assert not any(word in ben.locator("main").inner_text() for word in ("dp_sgd", "sgd"))
    ben.keyboard.press("1")
    expect(ben.get_by_text("Item 2 of 3, 1 answered")).to_be_visible()
    ben.keyboard.press("Backspace")
    expect(ben.get_by_text("Item 1 of 3, 1 answered")).to_be_visible()
    for key in ("2", "4", "u"):
        ben.keyboard.press(key)
    expect(ben.get_by_text("All items are answered.")).to_be_visible()
    ada.get_by_role("button", name="Show the texts").click()
    for key in ("2", "4", "1"):
        ada.keyboard.press(key)
    expect(ada.get_by_text("All items are answered.")).to_be_visible()
    wait_for(
        lambda: server.get(f"/api/reviews/{review['id']}")["tasks"][0]["rated"] == {ADA: 3, BEN: 3}, server.explain
    )
    ada.get_by_role("button", name="Close and uncover").click()
    ada.get_by_role("dialog").get_by_role("button", name="Close it").click()
    expect(ada.get_by_role("heading", name=re.compile("Krippendorff's α"))).to_be_visible()
    expect(ada.get_by_role("figure", name=re.compile("Mean answer by method"))).to_be_visible(timeout=30 * SECONDS)
    expect(ada.get_by_role("region", name="Items")).to_contain_text("<script>window.pwned=1</script> good")
    assert ada.evaluate("window.pwned") is None
    with ada.expect_download() as download:
        ada.get_by_role("button", name="Ratings as CSV").click()
    text = Path(download.value.path()).read_text()
    assert text.splitlines()[0].endswith("item,kind,content,rater,value,note,method")
    assert len([line for line in text.splitlines() if BEN in line]) == 3


def test_newer_runs_are_announced_and_change_nothing(server, study, settings, visitor):
    review = opened(server, study, settings, "Later")
    page = visitor(BEN)
    page.goto(f"/reviews/{review['id']}")
    table = page.get_by_role("region", name="Metrics of the settings")
    expect(table).to_be_visible(timeout=30 * SECONDS)
    before = table.inner_text()
    # One of the study's runs ends after the snapshot, as far as the database says.
    database = server.data_dir / "equipoise.sqlite"
    with sqlite3.connect(database, timeout=30) as connection:
        connection.execute(
            "UPDATE runs SET finished_at = '2099-01-01 00:00:00.000000' WHERE id = (SELECT min(id) FROM runs)"
        )
    connection.close()
    expect(page.get_by_text("1 newer run exists")).to_be_visible(timeout=15 * SECONDS)
    page.reload()
    expect(table).to_be_visible(timeout=30 * SECONDS)
    assert table.inner_text() == before


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_everybody_can_read_a_review(server, axe, study, settings, visitor, scheme, width):
    review = opened(server, study, settings, f"Readable {'long' * 30} {scheme}")
    task = _post(
        server,
        f"/api/reviews/{review['id']}/tasks",
        ADA,
        {
            "title": "Texts",
            "items": [{"content": "word" * 200, "hidden": {"method": "sgd"}}],
            "scale": {"points": [{"value": 0, "label": "no"}, {"value": 1, "label": "yes"}]},
            "raters": [BEN],
        },
    )
    _post(server, f"/api/reviews/{review['id']}/comments", BEN, {"text": "very" * 300})
    page = visitor(BEN, width, color_scheme=scheme)
    for path in (
        "/reviews",
        f"/reviews/new?jobs={study['id']}&settings={settings[0]}",
        f"/reviews/{review['id']}",
        f"/reviews/{review['id']}?tab=history",
        f"/reviews/{review['id']}?tab=members",
        f"/reviews/{review['id']}?tab=ratings",
        f"/reviews/{review['id']}/tasks/{task['id']}",
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=30 * SECONDS)
        page.wait_for_load_state("networkidle")
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_three_people_two_approvals_and_every_anchor(server, study, settings, visitor):
    ada = visitor(ADA)
    ada.goto(f"/reviews/new?jobs={study['id']}&settings={settings[0]},{settings[1]}")
    expect(ada.get_by_text("2 of at most 6 chosen")).to_be_visible(timeout=30 * SECONDS)
    ada.get_by_role("textbox", name="Title").fill("Two signatures")
    for name, role in ((CLEO, "approver"), (DAN, "reviewer")):
        ada.get_by_role("combobox", name="Name").fill(name)
        ada.get_by_role("combobox", name="As").select_option(role)
        ada.get_by_role("button", name="Add member").click()
        expect(ada.get_by_role("list", name="Members")).to_contain_text(f"{name}, {role}")
    ada.get_by_role("textbox", name="Required approvals").fill("2")
    expect(ada.get_by_text("There is only 1 approver")).to_be_visible()
    # A name that was typed and not yet added is asked about, not lost.
    ada.get_by_role("combobox", name="As").select_option("approver")
    ada.get_by_role("combobox", name="Name").fill(BEN)
    ada.get_by_role("button", name="Freeze the numbers and start").click()
    expect(ada.get_by_text("Add this member, or clear the name.")).to_be_visible()
    ada.get_by_role("button", name="Add member").click()
    ada.get_by_role("button", name="Freeze the numbers and start").click()
    expect(ada.get_by_role("heading", level=1)).to_have_text("Two signatures")
    expect(ada.get_by_text("0 of 2 approvals.").first).to_be_visible()
    address = ada.url

    # A comment about a run, a group, a chart and a selection, each found again by what it is about.
    threads = ada.get_by_role("list", name="Threads")
    ada.get_by_text("Runs, hashes and versions that were frozen").click()
    ada.get_by_role("button", name="Comment on Run of A, seed 0").click()
    comment(ada, f"What happened here, @{CLEO}?")
    expect(threads.get_by_role("button", name="Run of A, seed 0")).to_be_visible()
    ada.get_by_role("button", name=re.compile("^Comment on Female")).first.click()
    comment(ada, "The smaller group")
    expect(threads.get_by_role("button", name="Female", exact=True)).to_be_visible()
    ada.get_by_role("button", name="Comment on Chart: Subgroups").click()
    comment(ada, "Look at the chart")
    expect(threads.get_by_role("button", name="Chart: Subgroups")).to_be_visible()
    ada.get_by_role("button", name=re.compile("^About: ")).click()
    ada.get_by_role("menuitem", name="Settings A, B").click()
    comment(ada, "Both together")
    expect(threads.get_by_role("button", name="Settings A, B")).to_be_visible()
    expect(threads.get_by_role("button", name="Answer")).to_have_count(4)
    threads.get_by_role("button", name="Female", exact=True).click()
    expect(threads.get_by_role("listitem")).to_have_count(1)
    expect(threads).to_contain_text("The smaller group")
    ada.get_by_role("button", name="Threads about everything").click()

    # Who was mentioned is told, and the notice leads there.
    cleo = visitor(CLEO)
    cleo.goto("/studies")
    cleo.get_by_role("button", name=re.compile("^Notifications, 3 new")).last.click()
    notice = cleo.get_by_role("dialog", name="Notifications")
    expect(notice).to_contain_text(f"{ADA} made you an approver of the review 'Two signatures': please approve")
    notice.get_by_role("link", name=re.compile(f"{ADA} mentions you in the review 'Two signatures'")).click()
    expect(cleo).to_have_url(address)

    # A reviewer is heard and does not count.
    dan = visitor(DAN)
    dan.goto(address)
    expect(dan.get_by_text("your approval is shown but does not count")).to_be_visible()
    decide(dan, "Approve", "Fine by me")
    expect(dan.get_by_text("reviewer, just now, does not count")).to_be_visible()
    expect(dan.get_by_text("0 of 2 approvals.").first).to_be_visible()

    ben = visitor(BEN)
    ben.goto(address)
    decide(ben, "Approve", "It holds")
    expect(ben.get_by_text("1 of 2 approvals.").first).to_be_visible()
    decide(cleo, "Reject", "Not on this data")
    expect(cleo.get_by_text("rejected", exact=True).first).to_be_visible()
    expect(ben.get_by_text(f"{CLEO} rejected: Not on this data")).to_be_visible(timeout=15 * SECONDS)
    # An objection is not got rid of by taking whoever made it off the review.
    ada.get_by_role("tab", name=re.compile("^Members")).click()
    ada.get_by_role("button", name=f"Take {CLEO} off the review").click()
    expect(
        ada.get_by_role("alert").filter(has_text="keeps their role until the objection is withdrawn")
    ).to_be_visible()
    cleo.get_by_role("textbox", name="Reason").fill("Talked it over")
    cleo.get_by_role("button", name="Withdraw your decision").click()
    cleo.get_by_role("dialog").get_by_role("button", name="Withdraw", exact=True).click()
    expect(cleo.get_by_text("1 of 2 approvals.").first).to_be_visible()

    # The reviewer becomes an approver: what was said before as a reviewer still does not count.
    ada.get_by_role("combobox", name=f"Role of {DAN}").select_option("approver")
    expect(dan.get_by_text("as reviewer, now approver, just now, does not count")).to_be_visible(timeout=15 * SECONDS)
    expect(ada.get_by_text("1 of 2 approvals.").first).to_be_visible()
    decide(dan, "Approve", "Now as an approver")
    expect(dan.get_by_text("Approved: 2 of 2 approvals.").first).to_be_visible()
    ada.get_by_role("tab", name=re.compile("^History")).click()
    history = ada.get_by_role("list", name="Entries, oldest first")
    for said in ("rejected: Not on this data", "Talked it over", "approved: Now as an approver"):
        expect(history).to_contain_text(said)


def test_a_decision_that_came_too_late_is_told_and_not_lost(server, study, settings, visitor):
    review = opened(server, study, settings, "At once")
    one, other = visitor(BEN), visitor(BEN)
    for page in (one, other):
        page.goto(f"/reviews/{review['id']}")
        expect(page.get_by_role("textbox", name="Reason")).to_be_visible()
    # The second tab does not hear of the first.
    other.route(f"**/api/reviews/{review['id']}", lambda route: route.abort())
    decide(one, "Approve", "First tab")
    expect(one.get_by_text("Approved: 1 of 1 approvals.").first).to_be_visible()
    other.get_by_role("radio", name="Reject").check()
    other.get_by_role("textbox", name="Reason").fill("Second tab")
    _put(server, f"/api/reviews/{review['id']}/members", ADA, {"name": BEN, "role": None})
    other.get_by_role("button", name="Decide").click()
    other.unroute(f"**/api/reviews/{review['id']}")
    other.get_by_role("dialog").get_by_role("button", name=re.compile("^Yes")).click()
    told = other.get_by_role("alert").filter(has_text="Only members decide; you can comment.")
    expect(told).to_contain_text("An author can make you a member.")
    expect(other.get_by_text("Only members decide; an author can make you one.")).to_be_visible()
    history = server.get(f"/api/reviews/{review['id']}/events")["items"]
    assert [one["type"] for one in history] == ["opened", "decided", "member_removed"]
    # What was written is still there when the right to decide comes back.
    _put(server, f"/api/reviews/{review['id']}/members", ADA, {"name": BEN, "role": "approver"})
    expect(other.get_by_role("textbox", name="Reason")).to_have_value("Second tab", timeout=15 * SECONDS)


def test_a_review_outlives_its_study_and_its_history_can_be_checked_elsewhere(server, settings, visitor):
    job = server.submit({**STUDY, "name": "Gone soon", "methods": STUDY["methods"][:1]})
    job = server.wait_until(job["id"], lambda job: job["status"] == "succeeded")
    own = list(dict.fromkeys(run["setting_id"] for run in server.runs(job["id"])))
    review = opened(server, job, own, "Outlives")
    page = visitor(BEN)
    page.goto(f"/reviews/{review['id']}")
    comment(page, "=1+1 is <b>not</b> a formula")
    table = page.get_by_role("region", name="Metrics of the settings")
    expect(table).to_be_visible(timeout=30 * SECONDS)
    before = table.inner_text()
    drawn = page.get_by_role("region", name="Groups under each setting").locator("svg.main-svg").first
    expect(drawn).to_be_visible(timeout=30 * SECONDS)
    assert server.http.delete(f"{server.url}/api/jobs/{job['id']}").is_success
    expect(page.get_by_text(re.compile("was deleted"))).to_be_visible(timeout=15 * SECONDS)
    page.reload()
    expect(table).to_be_visible(timeout=30 * SECONDS)
    assert table.inner_text() == before
    expect(drawn).to_be_visible(timeout=30 * SECONDS)
    expect(page.get_by_role("alert")).to_have_count(0)
    decide(page, "Approve", "Still whole")
    expect(page.get_by_text("Approved: 1 of 1 approvals.").first).to_be_visible()

    page.get_by_role("tab", name=re.compile("^History")).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the whole review").click()
    exported = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    # As the documentation says that the chain is made, with nothing of the program's own.
    previous = exported["history"][0]["previous"]
    for entry in exported["history"]:
        assert entry["previous"] == previous
        content = {
            "review": review["id"],
            "number": entry["number"],
            "type": entry["type"],
            "person": entry["person"],
            "moment": re.sub(r"(\.\d+)?(Z|\+00:00)$", _six_digits, entry["created_at"]),
            "data": entry["data"],
            "previous": entry["previous"],
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256(text.encode()).hexdigest()
        assert entry["hash"] == previous
    noted = page.get_by_role("textbox", name="A hash that you noted earlier")
    for head, said in ((previous, "Yes."), ("0" * 64, "not")):
        noted.fill(head)
        page.get_by_role("button", name="Is it still there?").click()
        expect(page.get_by_role("status").filter(has_text=said)).to_be_visible()
    with page.expect_download() as report:
        page.get_by_role("button", name="Report", exact=True).click()
        page.get_by_role("menuitem", name=re.compile("^Report of this review")).click()
    assert "Still whole" in Path(report.value.path()).read_text(encoding="utf-8")


def _six_digits(found: re.Match[str]) -> str:
    return (found[1] or ".").ljust(7, "0") + "+00:00"


def _put(server, path: str, who: str, body):
    answer = server.http.put(server.url + path, json=body, headers={"Equipoise-Person": quote(who)})
    assert answer.is_success, answer.text


def test_a_rater_is_sent_nothing_that_is_hidden_and_alpha_is_that_of_the_definition(server, study, settings, visitor):
    review = opened(server, study, settings, "Blind")
    answers = {ADA: [1, 2, 3, 4, 4, 1, 2, None], BEN: [1, 3, 3, 4, 2, 1, 1, 2]}
    rows = [f"text number {place},secret-{place % 2},{place / 10}" for place in range(8)]
    ada, ben = visitor(ADA), visitor(BEN)
    ada.goto(f"/reviews/{review['id']}?tab=ratings")
    ada.get_by_role("button", name="New rating task").click()
    ada.get_by_role("textbox", name="Title").fill("How toxic")
    ada.get_by_label("CSV file with items").set_input_files(
        {"name": "i.csv", "mimeType": "text/csv", "buffer": "\n".join(["content,came_from,scorer", *rows]).encode()}
    )
    raters = ada.get_by_role("combobox", name="Raters")
    for name in (ADA, BEN):
        raters.fill(name)
        raters.press("Enter")
    received: list[str] = []

    def keep(route) -> None:
        answer = route.fetch()
        received.append(answer.text())
        route.fulfill(response=answer)

    ben.route("**/api/reviews/**", keep)
    ada.get_by_role("button", name="Ask for ratings").click()
    expect(ada.get_by_role("heading", level=1)).to_have_text("How toxic")
    address = ada.url
    ben.goto(f"/reviews/{review['id']}?tab=history")
    expect(ben.get_by_text("asked for ratings: How toxic")).to_be_visible()
    ben.goto(address)
    for page, name in ((ada, ADA), (ben, BEN)):
        for done in range(8):
            expect(page.get_by_text(f"Item {done + 1} of 8, {done} answered")).to_be_visible()
            shown = page.get_by_role("region", name=f"Item {done + 1}").inner_text()
            value = answers[name][int(shown.rpartition(" ")[2])]
            page.keyboard.press("u" if value is None else str(value))
        expect(page.get_by_text("All items are answered.")).to_be_visible()
    with ben.expect_download() as download:
        ben.get_by_role("button", name="Your ratings as CSV").click()
    received.append(Path(download.value.path()).read_text(encoding="utf-8"))
    assert len(received) > 8
    said = " ".join(received)
    assert "text number 3" in said
    for secret in ("secret-", "scorer", "came_from"):
        assert secret not in said
    path = f"/api/reviews/{review['id']}"
    # Until then answers are on their way, and pass through here only while the browser is waited for.
    expect(ada.get_by_text("All items are answered.")).to_be_visible()
    wait_for(
        lambda: ben.wait_for_timeout(50) or server.get(path)["tasks"][0]["rated"] == {ADA: 8, BEN: 8}, server.explain
    )
    ada.get_by_role("button", name="Close and uncover").click()
    ada.get_by_role("dialog").get_by_role("button", name="Close it").click()
    naive = _alpha(answers[ADA], answers[BEN])
    expect(ada.get_by_role("heading", name=re.compile(rf"Krippendorff's α \(ordinal\) is {naive:.2f}"))).to_be_visible()
    task = server.get(f"{path}/tasks/{address.rpartition('/')[2]}")
    assert task["results"]["agreement"][0]["value"] == pytest.approx(naive, abs=1e-12)


def _alpha(one: list[int | None], other: list[int | None]) -> float:
    """Krippendorff's ordinal alpha of two raters, from its definition (2011), pair by pair."""
    units = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    values = [value for unit in units for value in unit]
    count = Counter(values)

    def difference(c: int, k: int) -> float:
        low, high = sorted((c, k))
        return (sum(count[g] for g in range(low, high + 1)) - (count[c] + count[k]) / 2) ** 2

    observed = sum(difference(a, b) for a, b in units) / len(units)
    expected = sum(difference(a, b) for i, a in enumerate(values) for j, b in enumerate(values) if i != j)
    return 1 - observed / (expected / (len(values) * (len(values) - 1)))
