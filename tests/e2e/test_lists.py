"""Lists at scale: hundreds of studies, a thousand runs, and what people are told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from backend.settings import Settings
from backend.store import jobs, runs, schema, workers
from backend.store.database import Database
from tests.backend import synthetic
from tests.e2e._server import running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

STUDIES = 350
#: 7 settings each.
SEEDS = 60
EVIL = "<img src=x onerror=alert(1)> study"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    database = Database(Settings(data_dir=folder / "data").url())
    schema.upgrade(database)
    with database.write() as session:
        catalogue = synthetic.catalogue()
        workers.publish_catalogue(session, catalogue)
        spec = JobSpec.model_validate(synthetic.spec(name="Many runs", seeds=SEEDS))
        expansion = expand(spec, catalogue, max_runs=10_000)
        many = jobs.create(session, spec, runs=len(expansion.configs), submitter="Ada").id
        runs.attach(session, many, expansion.configs)
        for i in range(STUDIES):
            name = EVIL if i == 0 else f"Study {i:03d}"
            job = jobs.create(session, JobSpec.model_validate(synthetic.spec(name=name, tags=["old"])), runs=0)
            job.status = "succeeded"
            job.created_at = datetime.now(UTC) - timedelta(hours=1 + i)
    synthetic.measure(database, many)
    database.dispose()
    with running(folder, worker=False) as one:
        one.many = many
        yield one


@pytest.fixture
def page(chromium, server):
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append("a dialog"))
    yield page
    context.close()
    assert complaints == []


def test_all_studies_can_be_reached_and_few_are_drawn(page, axe):
    page.goto("/studies")
    expect(page.get_by_text(f"{STUDIES + 1} studies")).to_be_visible()
    expect(page.get_by_role("link", name=EVIL)).to_be_visible()
    assert axe(page) == []
    places = page.locator("li[aria-posinset]")
    assert places.count() < 60
    # Pages are asked for as the end comes near, until there is no more.
    last = page.get_by_role("link", name=f"Study {STUDIES - 1:03d}")
    for _ in range(30):
        if last.count():
            break
        page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(200)
    expect(last).to_be_visible()
    assert places.count() < 60
    assert places.last.get_attribute("aria-posinset") == str(STUDIES + 1)


def test_studies_are_tagged_archived_compared_and_deleted_together(page):
    page.goto("/studies?text=Study+34&sort=name&up=1")
    expect(page.get_by_text("14 studies", exact=True)).to_be_visible()
    for i in (340, 341):
        page.get_by_role("checkbox", name=f"Select Study {i}").check()
    bar = page.get_by_role("toolbar", name="Selected studies")
    expect(bar).to_contain_text("2 studies selected")
    bar.get_by_role("button", name="Tags").click()
    page.get_by_label("Tag to add").fill("kept")
    page.get_by_label("Tag to add").press("Enter")
    expect(page.locator("li").filter(has_text="Study 340").get_by_text("kept")).to_be_visible()
    page.keyboard.press("Escape")
    expect(bar.get_by_role("link", name="Compare")).to_have_attribute("href", re.compile(r"/explore\?jobs=\w+,\w+$"))
    bar.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("12 studies", exact=True)).to_be_visible()
    expect(bar).to_have_count(0)
    page.get_by_label("Archived studies").select_option("yes")
    expect(page).to_have_url(re.compile("archived=yes"))
    expect(page.get_by_text("2 studies", exact=True)).to_be_visible()
    page.get_by_label("Filter by tag").select_option("kept")
    expect(page).to_have_url(re.compile("tag=kept"))
    page.get_by_label("Select all").check()
    bar.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No study fits these filters")).to_be_visible()
    page.go_back()
    expect(page).not_to_have_url(re.compile("tag=kept"))


def test_the_tags_of_one_study_are_changed_by_keyboard(page):
    page.goto("/studies?text=Study+100")
    page.get_by_role("button", name="Tags of Study 100").focus()
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Tags", exact=True).fill("by hand")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("li").filter(has_text="Study 100").get_by_text("by hand")).to_be_visible()
    page.reload()
    expect(page.locator("li").filter(has_text="Study 100").get_by_text("by hand")).to_be_visible()


def test_runs_are_grouped_opened_and_ticked_and_the_address_holds_it(page, server, axe):
    page.goto(f"/studies/{server.many}")
    table = page.get_by_role("region", name="Runs of this study")
    expect(table.get_by_role("table")).to_have_attribute("aria-rowcount", str(7 * SEEDS + 1))
    assert table.locator("tbody tr").count() < 60
    table.evaluate("element => element.scrollTo(0, element.scrollHeight)")
    expect(table.locator(f"tr[aria-rowindex='{7 * SEEDS + 1}']")).to_be_visible()
    page.get_by_label("Group runs").select_option("method,method.epsilon")
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Find a metric").fill("loss")
    page.get_by_role("checkbox", name="Loss", exact=True).check()
    page.keyboard.press("Escape")
    expect(table.locator("tbody tr")).to_have_count(7)
    expect(table.get_by_role("columnheader", name=re.compile("^Loss"))).to_be_visible()
    expect(table.locator("tbody tr").nth(1)).to_contain_text("±")
    assert axe(page) == []
    opener = table.get_by_role("button", name="DP-SGD, ε 1", exact=True)
    opener.focus()
    page.keyboard.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    expect(table.locator("tbody tr")).to_have_count(7 + SEEDS)
    boxes = table.get_by_role("checkbox", name="Select the settings of this group")
    for place in (0, 1):
        boxes.nth(place).check()
    chosen = page.get_by_role("toolbar", name="Selected settings")
    expect(chosen).to_contain_text("2 settings selected")
    expect(chosen.get_by_role("link", name="Explore")).to_have_attribute("href", re.compile(r"select=\d+,\d+"))
    expect(chosen.get_by_role("link", name="Start a review")).to_have_attribute("href", re.compile(r"settings=\d+,\d+"))
    page.reload()
    expect(chosen).to_contain_text("2 settings selected")
    expect(table.locator("tbody tr")).to_have_count(7)


def test_the_bell_tells_whoever_submitted_it_and_forgets_what_was_seen(page, server, axe):
    page.goto("/studies")
    page.get_by_role("button", name="Notifications", exact=True).last.wait_for()
    page.evaluate("localStorage.setItem('equipoise-person', 'Ada')")
    page.reload()
    page.get_by_role("button", name="Notifications, 1 new").last.click()
    panel = page.get_by_role("dialog", name="Notifications")
    expect(panel.get_by_role("link", name=re.compile("Many runs"))).to_have_attribute("href", f"/studies/{server.many}")
    assert axe(page) == []
    panel.get_by_role("button", name="Mark all as seen").click()
    expect(page.get_by_role("button", name="Notifications", exact=True).last).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Notifications", exact=True).last).to_be_visible()


@pytest.mark.parametrize("path", ["/studies", "/workers"])
def test_nothing_is_wider_than_a_narrow_page(page, path):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path)
    page.get_by_role("heading", level=1).wait_for()
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
