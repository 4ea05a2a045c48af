"""The Gaussian task in a real browser: sliders, address, download, and that everybody can read it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e._server import running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 1_000
LONG = 30 * SECONDS


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("gaussian"), worker=False) as one:
        yield one


def drawn(page: Page) -> None:
    """Waits until all four figures stand."""
    expect(page.locator("figure svg.main-svg:first-child")).to_have_count(4, timeout=LONG)
    page.wait_for_load_state("networkidle")


def test_theory_and_simulation_follow_the_controls_and_the_address(chromium, server):
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/studies")
    page.get_by_role("link", name="Gaussian task").click()
    drawn(page)
    first = page.get_by_role("region", name="Leakage along training rows")
    expect(first.get_by_role("heading")).to_have_text(
        "At n = 200 the robust estimator leaks more: AUC 0.587 against 0.562; up to about n = 50 it leaks less"
    )
    table = page.get_by_role("region", name="Both estimators at this setting")
    before = table.inner_text()

    # By keyboard, on the slider; the field, the sentence, the numbers and the address move together.
    slider = page.get_by_role("slider", name="Slider of Training rows n")
    slider.focus()
    for _ in range(50):
        page.keyboard.press("ArrowLeft")
    rows = page.get_by_role("textbox", name="Training rows n").input_value()
    assert int(rows) < 50
    expect(first.get_by_role("heading")).to_have_text(
        re.compile(rf"^At n = {rows} the robust estimator leaks less: .*; from about n = \d+ it leaks more"),
        timeout=LONG,
    )
    expect(page).to_have_url(re.compile(rf"[?&]n={rows}(&|$)"))
    assert table.inner_text() != before

    page.get_by_role("combobox", name="Leakage measured as").click()
    page.get_by_role("option", name="TPR at 0.1 % FPR").click()
    expect(first.get_by_role("heading")).to_have_text(re.compile(r"TPR at 0\.1 % FPR"), timeout=LONG)
    page.reload()
    drawn(page)
    expect(first.get_by_role("heading")).to_have_text(re.compile(rf"^At n = {rows} .*TPR at 0\.1 % FPR"))

    # What is refused is said at its field, and what is shown stays.
    page.get_by_role("textbox", name="Informative coordinates").fill("101")
    expect(page.get_by_text("Expected at most the 100 dimensions, got 101.")).to_be_visible(timeout=LONG)
    expect(first.get_by_role("heading")).to_have_text(re.compile(rf"^At n = {rows} "))
    page.get_by_role("textbox", name="Informative coordinates").fill("50")
    page.get_by_role("textbox", name="Perturbation ε").fill("0.5")
    expect(page.get_by_text("at least as large as the separation of a coordinate")).to_be_visible(timeout=LONG)

    with page.expect_download() as download:
        first.get_by_role("button", name="Download this figure").click()
        page.get_by_role("menuitem", name="CSV of the values drawn").click()
    assert download.value.suggested_filename == "equipoise-gaussian-leakage-rows.csv"
    head, *lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert head.startswith("n,Standard")
    assert len(lines) >= 30
    context.close()
    assert complaints == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(chromium, axe, server, scheme, width):
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, base_url=server.url, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto("/gaussian?eps=0.4&measure=gap")
    drawn(page)
    page.get_by_text("What is computed here").click()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    context.close()
