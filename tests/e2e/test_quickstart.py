"""A newcomer's way through the page, in a real browser on a real server with a real worker."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e._server import running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

MINUTES = 60_000
TINY = {
    "name": "Tiny study",
    "dataset": {"name": "adult", "params": {"limit": 4000}, "subgroups": ["sex", "race", ["sex", "race"]]},
    "model": {"name": "mlp", "params": {"hidden": [8]}},
    "methods": [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1, 4]}}],
    "training": {"epochs": 5, "learning_rate": 0.3},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("quickstart")) as one:
        yield one


@pytest.fixture
def page(chromium, server):
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=server.url)
    page = context.new_page()
    complaints: list[str] = []

    def note(message):
        # The browser reports every refused preview; that it is refused is what some tests ask for.
        if message.type == "error" and "422" not in message.text:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def study(server):
    job = server.submit(TINY)
    return server.wait_until(job["id"], lambda job: job["status"] in ("succeeded", "failed"))


def drawn(page: Page, card: str):
    """The chart of a figure once Plotly has drawn it."""
    return page.get_by_role("figure", name=re.compile(card)).locator("svg.main-svg").first


def no_overflow(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_one_click_from_an_empty_page_to_the_whole_picture(page, server):
    page.goto("/")
    page.get_by_role("button", name="Run quickstart").first.click()
    expect(page).to_have_url(re.compile(r"/studies/\w+"), timeout=MINUTES)
    # The curve is there before the study has ended, and grows in place without a reload.
    expect(drawn(page, "Loss gap")).to_be_visible(timeout=3 * MINUTES)
    expect(page.get_by_text(re.compile(r"39 of 39 runs measured")).first).to_be_visible(timeout=5 * MINUTES)
    job_id = page.url.rpartition("/")[2].partition("?")[0]
    job = server.job(job_id)
    assert (job["status"], job["finished"], job["degenerate"]) == ("succeeded", 39, 0)
    expect(drawn(page, "Loss gap")).to_be_visible()
    for method in ("DP-SGD", "Adaptive DP-SGD", "SoftAdaClip"):
        expect(page.locator("figure").first.get_by_text(method, exact=True).first).to_be_visible()
    expect(page.get_by_text("Female, Black").first).to_be_visible()
    expect(drawn(page, "attack")).to_be_visible(timeout=MINUTES)


def test_a_small_study_by_the_form(page, server, study):
    page.goto("/new")
    page.get_by_role("link", name="Start from this").first.click()
    seeds = page.get_by_label("Seeds", exact=True)
    seeds.fill("1")
    expect(page.get_by_role("complementary", name="Preview").get_by_text("13 settings × 1 seed")).to_be_visible(
        timeout=MINUTES
    )
    page.get_by_label("Name of the study").fill("By the form <b>bold</b>")
    page.get_by_role("button", name="Start study").click()
    expect(page).to_have_url(re.compile(r"/studies/\w+"), timeout=MINUTES)
    expect(page.get_by_role("heading", name="By the form <b>bold</b>")).to_be_visible()
    job_id = page.url.rpartition("/")[2].partition("?")[0]
    server.wait_until(job_id, lambda job: job["status"] == "succeeded")


def test_a_wrong_value_is_said_beside_its_field(page, study):
    page.goto("/new?as=json")
    box = page.get_by_role("textbox", name=re.compile("JSON|specification", re.I)).first
    box.fill('{"dataset": {"name": "adlt"}, "model": {"name": "mlp"}, "methods": [{"name": "sgd"}]}')
    expect(page.get_by_text(re.compile("Did you mean 'adult'")).first).to_be_visible(timeout=MINUTES)


def test_a_run_and_its_details(page, server, study):
    run = server.runs(study["id"])[-1]
    page.goto(f"/runs/{run['id']}")
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=MINUTES)
    expect(drawn(page, "ttack")).to_be_visible(timeout=MINUTES)
    expect(page.get_by_text("fleet-cpu").first).to_be_visible()


def test_the_view_is_in_the_address_and_survives_a_reload(page, study):
    page.goto(f"/explore?jobs={study['id']}")
    expect(page.locator("svg.main-svg").first).to_be_visible(timeout=MINUTES)
    page.get_by_label(re.compile("^Vertical axis")).first.click()
    page.get_by_role("option", name="Accuracy", exact=True).click()
    expect(page).to_have_url(re.compile("accuracy"))
    expect(page.get_by_role("figure", name=re.compile("^Accuracy at each ε"))).to_be_visible(timeout=MINUTES)
    page.reload()
    expect(page.get_by_role("figure", name=re.compile("^Accuracy at each ε"))).to_be_visible(timeout=MINUTES)
    page.go_back()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/studies", "/studies/{job}", "/new", "/explore?jobs={job}", "/calculator", "/data", "/workers"]
)
def test_every_page_fits_a_narrow_screen(chromium, server, study, scheme, path):
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, base_url=server.url, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(path.format(job=study["id"]))
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=MINUTES)
    page.wait_for_load_state("networkidle")
    assert no_overflow(page)
    context.close()


def test_the_keyboard_reaches_the_main_action(page, study):
    page.goto("/new")
    button = page.get_by_role("button", name="Run quickstart").first
    expect(button).to_be_visible(timeout=MINUTES)
    for _ in range(40):
        page.keyboard.press("Tab")
        if button.evaluate("element => element === document.activeElement"):
            return
    pytest.fail("Run quickstart is not reached within 40 presses of the tab key")
