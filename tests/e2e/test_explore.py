"""The explorer in a browser: one selection in every figure, the address holds the view, a short link freezes it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e._server import running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 1_000
STUDY = {
    "name": "To be explored",
    "dataset": {"name": "adult", "params": {"limit": 2000}, "subgroups": ["sex", ["sex", "race"]]},
    "model": {"name": "mlp", "params": {"hidden": [4]}},
    "methods": [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1, 4], "clip": [0.5, 1.0]}}],
    "training": {"epochs": 2, "learning_rate": 0.3},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("explore")) as one:
        job = one.submit(STUDY)
        one.wait_until(job["id"], lambda job: job["status"] == "succeeded")
        yield one


@pytest.fixture
def page(chromium, server):
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, base_url=server.url)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def boxes(page: Page) -> list[bool]:
    table = page.get_by_role("region", name=re.compile("^Table")).first
    return [one.is_checked() for one in table.get_by_role("checkbox").all()]


def drag_over(page: Page) -> None:
    area = page.locator(".nsewdrag").first.bounding_box()
    assert area is not None
    page.mouse.move(area["x"] + 3, area["y"] + 3)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] - 3, area["y"] + area["height"] - 3, steps=6)
    page.mouse.up()


def opened(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator(".nsewdrag").first).to_be_visible(timeout=30 * SECONDS)
    expect(page.get_by_role("checkbox").first).to_be_visible()


def test_a_box_lights_rows_and_other_figures_stays_when_axes_change_and_back_undoes_it(page):
    opened(page, "/explore?x=accuracy&y=loss")
    assert len(boxes(page)) == 5
    page.get_by_text("Box", exact=True).click()
    drag_over(page)
    expect(page.get_by_role("region", name="Selection")).to_contain_text("5")
    assert all(boxes(page))
    table = page.get_by_role("region", name=re.compile("^Table")).first
    table.get_by_role("checkbox").first.uncheck()
    expect(page).to_have_url(re.compile(r"select=[\d,-]+(&|$)"))
    faint = page.locator(".scatterlayer .points path").evaluate_all(
        "all => all.filter(p => p.style.opacity < 0.5).length"
    )
    assert faint > 0
    selection = page.get_by_role("region", name="Selection")
    page.goto(page.url.replace("y=loss", "y=auroc"))
    expect(selection).to_contain_text("4")
    page.get_by_role("tab", name="Parallel coordinates").click()
    expect(page).to_have_url(re.compile("panel=parallel"))
    page.go_back()
    expect(page).not_to_have_url(re.compile("panel=parallel"))
    page.keyboard.press("Escape")
    expect(selection).to_have_count(0)
    expect(page).not_to_have_url(re.compile("select="))


def test_rows_are_selected_by_keyboard_and_a_review_is_offered_for_a_few(page):
    opened(page, "/explore?x=accuracy&y=loss")
    first = page.get_by_role("checkbox", name=re.compile("Select ")).first
    first.focus()
    page.keyboard.press("Space")
    expect(first).to_be_checked()
    link = page.get_by_role("link", name="Start a review")
    expect(link).to_have_attribute("href", re.compile(r"^/reviews/new\?jobs=\w+&settings=\d+$"))


def test_a_short_link_opens_the_view_as_it_was(page):
    opened(page, "/explore?x=accuracy&y=loss&panel=intersections&color=method.clip")
    page.get_by_role("button", name="Short link").click()
    expect(page.get_by_text("Short link copied")).to_be_visible()
    address = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"/l/[0-9a-z]{10}$", address)
    opened(page, address)
    expect(page.get_by_role("note")).to_contain_text("Results as of")
    for kept in ("x=accuracy", "y=loss", "panel=intersections", "color=method.clip", "asOf="):
        assert kept in page.url
    page.get_by_role("button", name="Show current results").click()
    expect(page).not_to_have_url(re.compile("asOf"))


def test_what_is_saved_as_csv_is_what_the_table_shows(page):
    opened(page, "/explore?x=accuracy&y=loss")
    table = page.get_by_role("region", name=re.compile("^Table")).first
    shown = [one.inner_text() for one in table.get_by_role("row").all()]
    page.get_by_role("button", name="Download this figure").first.click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="CSV of the values drawn").click()
    path = download.value.path()
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == len(shown) == 6
    with page.expect_download() as picture:
        page.get_by_role("button", name="Download this figure").first.click()
        page.get_by_role("menuitem", name="SVG drawing").click()
    assert picture.value.path().read_bytes().startswith(b"<svg")


def test_odd_values_in_the_address_are_dropped(page):
    opened(page, "/explore?x=nothing&y=loss&select=a,-1,3.5&panel=none&asOf=yesterday&xMin=abc&color=")
    expect(page.get_by_role("region", name="Selection")).to_have_count(0)


def lit(page: Page) -> list[tuple[str, list[int]]]:
    """Of every figure on the page: its kind of traces and the settings whose marks are lit."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => {
            const found = new Set()
            for (const trace of plot.data) {
                const settings = trace.meta?.settings ?? []
                const places = trace.type === 'parcoords'
                    ? settings.flatMap((_, place) => trace.line.color[place] >= 0 ? [place] : [])
                    : trace.selectedpoints ?? []
                for (const place of places) if (settings[place] !== null) found.add(settings[place])
            }
            return [...found].sort((a, b) => a - b)
        })"""
    )


def test_a_lasso_lights_the_same_settings_in_every_figure_and_the_address_restores_them(page, server):
    opened(page, "/explore?x=accuracy&y=loss&choose=all")
    page.get_by_text("Lasso", exact=True).click()
    # Around the mark that is lowest on the screen, and no other.
    marks = page.locator(".js-plotly-plot").first.locator(".scatterlayer .points path").all()
    places = [box for mark in marks if (box := mark.bounding_box())]
    lowest = max(places, key=lambda box: box["y"])
    x, y = lowest["x"] + lowest["width"] / 2, lowest["y"] + lowest["height"] / 2
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    page.mouse.move(x - 14, y - 14)
    page.mouse.down()
    for right, down in corners[1:]:
        page.mouse.move(x + 14 * right, y + 14 * down, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"select=[\d,-]+"))
    chosen = sorted(_numbers(re.search(r"select=([\d,%C-]+)", page.url)[1]))
    assert 0 < len(chosen) < 5
    checked = boxes(page)
    assert sum(checked) == len(chosen)
    for panel in ("Subgroups", "Parallel coordinates"):
        page.get_by_role("tab", name=panel).click()
        expect(page.locator(".js-plotly-plot").nth(1)).to_be_visible(timeout=30 * SECONDS)
        page.wait_for_load_state("networkidle")
        first, second, *_ = lit(page)
        assert first == chosen
        assert set(second) <= set(chosen)
        assert second or panel == "Subgroups"
    page.reload()
    expect(page.locator(".js-plotly-plot").nth(1)).to_be_visible(timeout=30 * SECONDS)
    page.wait_for_load_state("networkidle")
    assert lit(page)[:2] == [chosen, chosen]
    assert boxes(page) == checked


def _numbers(text: str) -> list[int]:
    ends = [part.split("-") for part in text.replace("%2C", ",").split(",")]
    return [n for end in ends for n in range(int(end[0]), int(end[-1]) + 1)]


def test_studies_that_are_gone_and_selections_of_nothing_are_told(page, server):
    page.goto("/explore?jobs=nosuchstudy")
    expect(page.get_by_role("alert").first).to_contain_text("There is no study 'nosuchstudy'", timeout=30 * SECONDS)
    page.wait_for_load_state("networkidle")
    # Nothing waits for what will not come.
    expect(page.locator(".mantine-Skeleton-root")).to_have_count(0)
    job = server.get("/api/jobs")["items"][0]["id"]
    opened(page, f"/explore?jobs={job}&select=999999")
    expect(page.get_by_role("region", name="Selection")).to_contain_text("1 setting selected")
    expect(page.get_by_role("region", name="Selection")).to_contain_text("Not drawn in this view")
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Selection")).to_have_count(0)
