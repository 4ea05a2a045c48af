"""Everybody can use every page: all rules of axe in both themes at two widths, titles, the keyboard, and paper."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from backend.settings import Settings
from backend.store import jobs, runs, schema, workers
from backend.store.database import Database
from tests.backend import synthetic
from tests.e2e import _sample
from tests.e2e._server import running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 1_000
WIDTHS = {1440: 900, 390: 844}
COLOURS = ("color-contrast", "link-in-text-block")
#: What a browser says of an answer that a page asked for and explains.
EXPLAINED = re.compile(r"status of (404|503)")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("access")) as one:
        _sample.fill(one.url)
        yield one


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A server where nothing was done yet and nothing can be: no worker has come."""
    with running(tmp_path_factory.mktemp("empty"), worker=False) as one:
        yield one


@pytest.fixture
def visitor(chromium):
    """Opens a browser at a server; nothing may go wrong in it that its page does not explain."""
    contexts, errors = [], []

    def note(message):
        if message.type == "error" and not EXPLAINED.search(message.text):
            errors.append(message.text)

    def come(one, width: int = 1440, name: str | None = _sample.BEN, **options: Any) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": WIDTHS[width]},
            base_url=one.url,
            reduced_motion=options.pop("reduced_motion", "reduce"),
            **options,
        )
        contexts.append(context)
        if name:
            context.add_init_script(f"localStorage.setItem('equipoise-person', {name!r})")
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield come
    for context in contexts:
        context.close()
    assert errors == []


def settled(page: Page) -> None:
    """Waits until a page has what it asked for and has drawn it."""
    expect(page.locator("main h1, main [role=alert]").first).to_be_visible(timeout=30 * SECONDS)
    page.wait_for_function(
        """() => ![...document.querySelectorAll('.mantine-Skeleton-root, [aria-busy=true], [data-stale]')]
          .some(one => one.getClientRects().length)"""
    )


def visited(page: Page, path: str) -> None:
    page.goto(path)
    settled(page)


def faults(page: Page, axe) -> list[str]:
    """What axe finds in both themes, and whether anything is wider than the window."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("scheme => document.documentElement.dataset.mantineColorScheme === scheme", arg=scheme)
        settled(page)
        # The themes differ in nothing but colours.
        found += [f"{scheme}: {one}" for one in axe(page, *(COLOURS if scheme == "dark" else ()))]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*found, *([f"{wide} pixels too wide"] if wide > 0 else [])]


def page_of(name: str) -> str:
    """Which page a view is of; views of one page share its title."""
    other = {"operating": "explore", "link": "explore", "drawer": "study-succeeded", "duplicate": "new"}
    return other.get(name) or re.sub(r"^(studies|new(?!-review)|explore|review)-.*", r"\1", name)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_accessible_and_has_a_title_of_its_own(server, visitor, axe, width):
    page = visitor(server, width)
    found = {}
    titles: dict[str, set[str]] = {}
    for name, path in _sample.pages(server.url).items():
        visited(page, path)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        titles.setdefault(page_of(name), set()).add(page.title())
        found[name] = faults(page, axe)
    assert {name: one for name, one in found.items() if one} == {}
    assert {name: one for name, one in titles.items() if len(one) > 1} == {}
    unique = [title for one in titles.values() for title in one]
    assert len(set(unique)) == len(unique), unique
    assert all(title.endswith(" · Equipoise") for title in unique), unique
    assert titles["run"].pop().endswith(" · Run · Equipoise")


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_that_have_nothing_to_show_are_accessible(empty, visitor, axe, width):
    page = visitor(empty, width, name=None)
    found = {}
    for path in ("/studies", "/explore", "/reviews", "/reviews/new", "/data", "/workers"):
        page.goto(path)
        # Without a catalogue some parts go on waiting, which is what is looked at.
        expect(page.locator("main h1")).to_be_visible(timeout=30 * SECONDS)
        page.wait_for_load_state("networkidle")
        found[path] = axe(page)
    assert {path: one for path, one in found.items() if one} == {}


def test_what_opens_over_a_page_is_accessible(server, visitor, axe):
    page = visitor(server)
    study = next(path for name, path in _sample.pages(server.url).items() if name == "study-succeeded")
    found = {}
    for opener in ("Notifications", _sample.BEN, "Report", "Downloads and more", "Download this figure"):
        visited(page, study)
        page.get_by_role("button", name=re.compile(f"^{opener}")).last.click()
        expect(page.locator("[role=dialog], [role=menu]").last).to_be_visible()
        # A menu belongs to the button that names it, not to a region of the page.
        found[opener] = [one for one in faults(page, axe) if not ("region: " in one and 'role="menu"' in one)]
    assert {opener: one for opener, one in found.items() if one} == {}


def test_the_check_sees_what_it_is_to_see(server, visitor, axe):
    page = visitor(server)
    visited(page, "/calculator")
    page.evaluate(
        """document.querySelector('main').insertAdjacentHTML('beforeend',
          '<img src="/favicon.svg"><input><p style="color:#999;background:#aaa">faint</p>'
          + '<table><thead><tr><th></th></tr></thead></table>')"""
    )
    assert {one.partition(":")[0] for one in axe(page)} == {
        "image-alt",
        "label",
        "color-contrast",
        "empty-table-header",
    }


def pressed(page: Page, wanted: Locator, key: str = "Tab", presses: int = 60) -> None:
    """Presses a key until something has the focus, which has to be seen."""
    for _ in range(presses):
        page.keyboard.press(key)
        if wanted.count() and wanted.first.evaluate("element => element === document.activeElement"):
            assert wanted.first.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
            return
    pytest.fail(f"{wanted} is not reached within {presses} presses of {key}")


def test_the_first_key_skips_to_the_content(server, visitor):
    page = visitor(server)
    visited(page, "/new")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    # Next comes what the page is for, not the navigation again.
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Run quickstart")).to_be_focused()


def test_what_was_opened_gives_the_focus_back(server, visitor):
    page = visitor(server)
    visited(page, _sample.pages(server.url)["study-succeeded"])
    for opener in ("Report", "Notifications", _sample.BEN):
        button = page.get_by_role("button", name=re.compile(f"^{opener}")).last
        button.focus()
        page.keyboard.press("Enter")
        over = page.locator("[role=dialog], [role=menu]").last
        expect(over).to_be_visible()
        page.wait_for_function("one => one.contains(document.activeElement)", arg=over.element_handle())
        page.keyboard.press("Escape")
        expect(over).to_have_count(0)
        expect(button).to_be_focused()


def test_the_panel_of_a_run_takes_the_focus_and_closes_by_escape(server, visitor):
    page = visitor(server)
    visited(page, _sample.pages(server.url)["drawer"])
    panel = page.get_by_role("dialog")
    expect(panel.get_by_role("table").first).to_be_visible()
    page.wait_for_function("one => one.contains(document.activeElement)", arg=panel.element_handle())
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page).not_to_have_url(re.compile("run="))


def test_the_numbers_of_a_figure_are_reached_and_sorted_by_keyboard(server, visitor):
    page = visitor(server)
    visited(page, _sample.pages(server.url)["study-succeeded"])
    fold = page.locator("summary", has_text="Table of these").first
    pressed(page, fold)
    page.keyboard.press("Enter")
    table = page.locator("details[open]").first.get_by_role("region", name=re.compile("^Table: "))
    pressed(page, table, presses=2)
    pressed(page, table.get_by_role("button", name=re.compile("^Sort by")), presses=2)
    page.keyboard.press("Enter")
    expect(table.get_by_role("columnheader").first).to_have_attribute("aria-sort", "ascending")


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_whoever_asks_for_no_motion_gets_none(server, visitor, motion):
    page = visitor(server, reduced_motion=motion)
    visited(page, "/studies")
    page.get_by_role("button", name="Tour").click()
    expect(page.locator("#tour")).to_be_visible()
    longest = page.evaluate(
        """Math.max(...[...document.querySelectorAll('*')].flatMap(one => {
          const style = getComputedStyle(one)
          return [...style.transitionDuration.split(','), ...style.animationDuration.split(',')].map(parseFloat)
        }))"""
    )
    assert (longest < 0.001) == (motion == "reduce")


def test_a_page_on_paper_is_light_whole_and_without_controls(visitor, tmp_path):
    folder = tmp_path / "paper"
    database = Database(Settings(data_dir=folder / "data").url())
    schema.upgrade(database)
    with database.write() as session:
        catalogue = synthetic.catalogue()
        workers.publish_catalogue(session, catalogue)
        spec = JobSpec.model_validate(synthetic.spec(name="Many runs", seeds=30))
        expansion = expand(spec, catalogue, max_runs=1_000)
        many = jobs.create(session, spec, runs=len(expansion.configs)).id
        runs.attach(session, many, expansion.configs)
    synthetic.measure(database, many)
    database.dispose()
    with running(folder, worker=False) as one:
        page = visitor(one, color_scheme="dark")
        page.goto(f"/studies/{many}")
        rows = page.get_by_role("region", name="Runs of this study").locator("tbody tr")
        expect(rows.first).to_be_visible(timeout=30 * SECONDS)
        expect(page.locator("svg.main-svg").first).to_be_visible(timeout=30 * SECONDS)
        assert rows.count() < 100
        page.emulate_media(media="print", color_scheme="dark")
        expect(rows).to_have_count(7 * 30)
        expect(page.locator("nav")).to_be_hidden()
        expect(page.get_by_role("button", name="Report")).to_be_hidden()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        ink = page.evaluate("getComputedStyle(document.querySelector('h1')).color")
        assert max(map(int, re.findall(r"\d+", ink))) < 80, ink
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator(".js-plotly-plot").first.evaluate("plot => plot._fullLayout.width") <= 700
        page.emulate_media(media="screen", color_scheme="dark")
        expect(page.locator("nav")).to_be_visible()
        assert page.evaluate("document.documentElement.dataset.mantineColorScheme") == "dark"
        assert page.pdf().startswith(b"%PDF")
    errors = page.evaluate("document.querySelectorAll('[role=alert]').length")
    assert errors == 0
