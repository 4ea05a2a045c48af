"""The tour, from an empty data folder by keyboard alone to its end; left, resumed and begun anew."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e._server import running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 1_000
MINUTES = 60 * SECONDS
STEPS = 7


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("tour")) as one:
        yield one


@pytest.fixture
def visitor(chromium, server):
    """Opens a browser of somebody who was never here."""
    contexts, errors = [], []

    def come(width: int = 1440, **options) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 844 if width < 600 else 900}, base_url=server.url, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("response", lambda answer: errors.append(answer.url) if answer.status >= 500 else None)
        return page

    yield come
    for context in contexts:
        context.close()
    assert errors == []


def card(page: Page) -> Locator:
    return page.locator("#tour")


def at(page: Page, step: int) -> None:
    expect(card(page)).to_contain_text(f"Tour, {step} of {STEPS}")


def focused(locator: Locator) -> bool:
    return locator.evaluate("element => element.contains(document.activeElement)")


def tab_to(page: Page, wanted: Locator, presses: int = 40) -> None:
    """Presses Tab until something has the focus, which has to be seen."""
    for _ in range(presses):
        page.keyboard.press("Tab")
        if wanted.count() and wanted.first.evaluate("element => element === document.activeElement"):
            assert wanted.first.evaluate(
                "element => element.matches(':focus-visible') && getComputedStyle(element).outlineStyle !== 'none'"
            )
            return
    pytest.fail(f"{wanted} is not reached within {presses} presses of the tab key")


def press(page: Page, name: str) -> None:
    """A button of the card, by keyboard."""
    tab_to(page, card(page).get_by_role("button", name=name, exact=True))
    page.keyboard.press("Enter")


def uncovered(page: Page, mark: str) -> bool:
    """Whether no part of the control lies under the card, and all of it is in the window."""
    page.wait_for_function(
        """mark => {
          const now = document.querySelector(`[data-tour="${mark}"]`)?.getBoundingClientRect()
          const same = now && window.before && now.top === window.before.top
          window.before = now
          return same
        }""",
        arg=mark,
        polling=100,
    )
    return page.evaluate(
        """mark => {
          const a = document.querySelector(`[data-tour="${mark}"]`).getBoundingClientRect()
          const b = document.querySelector('#tour').getBoundingClientRect()
          const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top
          return apart && a.top >= 0 && a.bottom <= innerHeight
        }""",
        mark,
    )


def no_overflow(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_by_keyboard_alone_from_an_empty_page_to_the_end(visitor, server, axe):
    page = visitor()
    page.goto("/")
    at(page, 1)
    # It begins without taking the focus away from where somebody is.
    assert page.evaluate("document.activeElement === document.body")
    assert axe(page) == []
    press(page, "Next")
    at(page, 2)
    assert focused(card(page))
    expect(card(page).get_by_role("button", name="Next")).to_have_count(0)
    assert uncovered(page, "quickstart")
    press(page, "Go to it")
    quickstart = page.locator("[data-tour=quickstart]")
    expect(quickstart).to_be_focused()
    page.keyboard.press("Escape")
    assert focused(card(page))
    press(page, "Go to it")
    page.keyboard.press("Enter")

    # What it says is what the server does: the study is there, then it runs, then a run is measured.
    at(page, 3)
    expect(page).to_have_url(re.compile(r"/studies/\w+$"))
    (job,) = server.get("/api/jobs")["items"]
    assert job["preset"] == "quickstart"
    expect(card(page)).to_be_focused()
    if server.job(job["id"])["finished"] == 0:
        expect(card(page)).to_contain_text("Goes on when the first run has been measured.")
    expect(card(page).get_by_role("button", name="Next")).to_be_visible(timeout=2 * MINUTES)
    assert server.job(job["id"])["finished"] > 0
    assert uncovered(page, "progress")
    # A reload loses nothing.
    page.reload()
    at(page, 3)
    press(page, "Next")
    at(page, 4)
    expect(card(page)).to_contain_text("Privacy budget ε, lower is more private", timeout=MINUTES)
    assert uncovered(page, "tradeoff")
    press(page, "Next")
    at(page, 5)
    assert uncovered(page, "operating")
    press(page, "Go to it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Operating point")).to_be_visible(timeout=30 * SECONDS)
    page.keyboard.press("Escape")
    expect(card(page)).to_be_focused()
    press(page, "Next")
    at(page, 6)
    assert uncovered(page, "review")
    # Away from the page it stays, and leads back.
    press(page, "Go to it")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/reviews/new"))
    at(page, 6)
    tab_to(page, card(page).get_by_role("button", name="Go to the study"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/studies/{job['id']}"))
    press(page, "Next")
    at(page, STEPS)
    assert uncovered(page, "report")
    press(page, "Finish")
    expect(card(page)).to_have_count(0)
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_focused()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(card(page)).to_have_count(0)


def test_it_is_left_resumed_and_begun_anew_where_studies_are(visitor, server):
    page = visitor(reduced_motion="reduce")
    page.goto("/studies")
    expect(page.get_by_role("link", name=re.compile("Quickstart"))).to_be_visible()
    # Who comes to a page with results is not led by the hand unless they ask.
    expect(card(page)).to_have_count(0)
    entry = page.get_by_role("button", name="Tour", exact=True)
    entry.focus()
    page.keyboard.press("Enter")
    at(page, 1)
    expect(card(page)).to_be_focused()
    press(page, "Next")
    (job,) = server.get("/api/jobs")["items"]
    expect(card(page)).to_contain_text(f"the tour goes on with “{job['name']}”")
    press(page, "Next")
    at(page, 3)
    expect(page).to_have_url(re.compile(rf"/studies/{job['id']}$"))
    page.keyboard.press("Escape")
    expect(card(page)).to_have_count(0)
    left = page.get_by_role("button", name=f"Tour, go on at 3 of {STEPS}")
    expect(left).to_be_focused()
    page.goto("/calculator")
    left.click()
    at(page, 3)
    press(page, "Go to the study")
    expect(page).to_have_url(re.compile(rf"/studies/{job['id']}$"))
    press(page, "Back")
    at(page, 2)
    expect(page).to_have_url(re.compile(r"/studies$"))
    press(page, "Skip the tour")
    expect(card(page)).to_have_count(0)
    # Another person begins at the beginning, and what was kept is dropped with the storage.
    page.evaluate("localStorage.clear()")
    page.reload()
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_covers_nothing_it_speaks_about_on_a_phone(visitor, server, axe, scheme):
    (job,) = server.get("/api/jobs")["items"]
    server.wait_until(job["id"], lambda job: job["finished"] > 0)
    page = visitor(390, color_scheme=scheme, reduced_motion="reduce")
    page.goto("/studies")
    page.get_by_role("button", name="Navigation").click()
    page.get_by_role("button", name="Tour", exact=True).click()
    for step in range(1, STEPS + 1):
        at(page, step)
        assert no_overflow(page)
        if step > 2:
            mark = ("progress", "tradeoff", "operating", "review", "report")[step - 3]
            expect(page.locator(f"[data-tour={mark}]")).to_be_visible(timeout=30 * SECONDS)
            assert uncovered(page, mark), mark
        assert axe(page) == [], step
        card(page).get_by_role("button", name=re.compile("Next|Finish")).click()
    expect(card(page)).to_have_count(0)
