"""The operating point in a browser: limits, why not, what they cost, a choice by somebody, and its withdrawal."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.e2e._server import running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 1_000
STUDY = {
    "name": "To be decided",
    "dataset": {"name": "adult", "params": {"limit": 2000}, "subgroups": ["sex", "race"]},
    "model": {"name": "mlp", "params": {"hidden": [4]}},
    "methods": [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1, 4, 8]}}],
    "training": {"epochs": 2, "learning_rate": 0.3},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("operating")) as one:
        yield one


@pytest.fixture(scope="module")
def study(server):
    job = server.submit(STUDY)
    return server.wait_until(job["id"], lambda job: job["status"] == "succeeded")["id"]


@pytest.fixture
def visitor(chromium, server):
    contexts, errors = [], []

    def come(width: int = 1440, **options) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, base_url=server.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield come
    for context in contexts:
        context.close()
    assert errors == []


def opened(page: Page, study: str, **view: str):
    query = "".join(f"&{key}={quote(value)}" for key, value in view.items())
    page.goto(f"/explore?jobs={study}{query}")
    section = page.get_by_role("region", name="Operating point")
    expect(section.get_by_role("region", name="Answer")).to_be_visible(timeout=30 * SECONDS)
    return section


def test_a_team_limits_sees_why_not_relaxes_chooses_and_withdraws(server, study, visitor):
    page = visitor()
    section = opened(page, study)
    head = section.get_by_role("heading", level=2)
    # Trained this little a model predicts one class: that is left out until somebody says otherwise.
    expect(head).to_contain_text("All 4 settings are left out")
    section.get_by_text("Exceptions", exact=True).click()
    section.get_by_role("switch", name=re.compile("^Also settings that mostly diverged")).press("Space")
    expect(head).to_contain_text("4 of 4 settings, no constraint yet")
    expect(section.get_by_text("Exceptions: 1 made")).to_be_visible()
    section.get_by_role("button", name="ε ≤ 4", exact=True).click()
    expect(head).to_contain_text("2 of 4 settings meet the constraint")
    expect(page).to_have_url(re.compile("c=epsilon"))
    section.get_by_text("Why not: 2 other settings").click()
    others = section.get_by_role("region", name="Settings that are not feasible")
    expect(others).to_contain_text("ε 8, at most 4 asked: 4 too high")
    expect(others).to_contain_text("Not private: no ε bounds it")

    # Where it is too strict for everything the page says what would do, and does it.
    limit = section.get_by_role("textbox", name="Limit of ε")
    limit.fill("0.5")
    expect(head).to_contain_text("No setting meets the constraint; the nearest is DP-SGD, ε = 1")
    section.get_by_role("button", name=re.compile("^Apply: DP-SGD, ε = 1 is admitted")).click()
    expect(limit).to_have_value("1")
    expect(head).to_contain_text("1 of 4 settings meets the constraint")
    page.go_back()
    expect(head).to_contain_text("No setting meets the constraint")
    page.go_forward()
    expect(head).to_contain_text("1 of 4 settings meets the constraint")

    # Nobody has said who they are: the dialog asks, and needs a reason.
    section.get_by_role("button", name="Choose DP-SGD, ε = 1", exact=True).click()
    dialog = page.get_by_role("dialog").filter(has_text="Reason")
    save = dialog.get_by_role("button", name="Choose", exact=True)
    dialog.get_by_role("textbox", name="Reason").fill("The strictest that was trained")
    expect(save).to_be_disabled()
    dialog.get_by_role("button", name="Say who you are").click()
    page.get_by_role("textbox", name="Your name").fill("Zoë <b>Q</b>")
    page.get_by_role("button", name="Save").click()
    save.click()
    who = section.get_by_role("region", name="Who chose")
    expect(who).to_contain_text("Zoë <b>Q</b>")
    expect(who).to_contain_text("The strictest that was trained")
    expect(who).to_contain_text("ε at most 1")

    # What is not feasible can be chosen, openly.
    section.get_by_role("button", name="Choose anyway DP-SGD, ε = 8").click()
    expect(dialog.get_by_role("note")).to_contain_text("ε 8, at most 1 asked: 7 too high.")
    dialog.get_by_role("textbox", name="Reason").fill("For comparison")
    dialog.get_by_role("button", name="Choose anyway").click()
    expect(who).to_contain_text("chosen although infeasible")

    who.get_by_role("button", name="Withdraw DP-SGD, ε = 1").click()
    dialog.get_by_role("textbox", name="Reason").fill("Newer data")
    dialog.get_by_role("button", name="Withdraw", exact=True).click()
    expect(who).to_contain_text("Withdrawn by Zoë <b>Q</b>")
    stored = server.get("/api/operating-points", job_id=study)["items"]
    assert [(one["reason"], one["withdrawn"] is not None) for one in stored] == [
        ("For comparison", False),
        ("The strictest that was trained", True),
    ]


def test_it_works_by_keyboard_alone(study, visitor):
    page = visitor()
    section = opened(page, study, c="epsilon<=4;accuracy>=0.1", o="accuracy;loss_gap@sex", ill="1")
    slider = section.get_by_role("slider", name="Slider of the limit of ε")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert float(slider.get_attribute("aria-valuetext") or "0") > 4
    moved = section.get_by_role("button", name="Move Accuracy down")
    moved.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"o=loss_gap(%40|@)sex(%3B|;)accuracy"))
    section.get_by_role("button", name="Remove the objective Accuracy").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"o=loss_gap(%40|@)sex(&|$)"))
    section.get_by_role("button", name="Remove the limit of Accuracy").focus()
    page.keyboard.press("Enter")
    expect(section.get_by_role("textbox", name=re.compile("^Limit of"))).to_have_count(1)
    # The answer without that limit may list the settings in another order: the first one is asked for after it.
    page.wait_for_load_state("networkidle")
    expect(section).not_to_have_attribute("aria-busy", "true")
    button = section.get_by_role("button", name=re.compile("^Choose DP-SGD")).first
    button = section.get_by_role("button", name=button.get_attribute("aria-label"), exact=True)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Reason")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()


def test_it_is_on_the_page_of_a_study_too(study, visitor):
    page = visitor()
    page.goto(f"/studies/{study}?ill=1")
    fold = page.get_by_text("Operating point: choose a setting")
    expect(fold).to_be_visible(timeout=30 * SECONDS)
    fold.click()
    section = page.get_by_role("region", name="Operating point")
    section.get_by_role("button", name="ε ≤ 4", exact=True).click()
    expect(section.get_by_role("heading", level=2)).to_contain_text("2 of 4 settings meet the constraint")
    page.reload()
    expect(section.get_by_role("heading", level=2)).to_contain_text("2 of 4 settings", timeout=30 * SECONDS)
    page.goto(f"/studies/{study}?c={quote('nonsense<=1')}")
    alert = section.get_by_role("alert")
    expect(alert).to_contain_text("nonsense", timeout=30 * SECONDS)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390)])
def test_everybody_can_read_it(study, axe, visitor, scheme, width):
    page = visitor(width, color_scheme=scheme)
    for view in (
        {},
        {
            "c": "epsilon<=2;accuracy@worst:sex>=0.1~0.75",
            "o": "accuracy*2;loss_gap@sex",
            "rule": "weighted",
            "ill": "1",
        },
        {"c": "epsilon<=0.1", "ill": "1"},
    ):
        section = opened(page, study, **view)
        page.wait_for_load_state("networkidle")
        assert axe(page) == [], view
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), view
        section.get_by_role("button", name=re.compile("^Choose")).last.click()
        # Colours are judged when the dialog has faded in.
        expect(page.get_by_role("dialog")).to_have_css("opacity", "1")
        assert axe(page) == [], view
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), view
