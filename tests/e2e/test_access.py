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
#: Colours move in transitions, however short: for a frame after a change of theme some are those of the old one.
COLOURS_HAVE_CHANGED = """async () => {
  const frame = () => new Promise(requestAnimationFrame)
  await frame()
  await frame()
  const moving = document.getAnimations().filter(one => one.effect.getComputedTiming().endTime !== Infinity)
  await Promise.all(moving.map(one => one.finished.catch(() => null)))
}"""
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
        page.evaluate(COLOURS_HAVE_CHANGED)
        # The themes differ in nothing but colours.
        found += [f"{scheme}: {one}" for one in axe(page, *(COLOURS if scheme == "dark" else ()))]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*found, *([f"{wide} pixels too wide"] if wide > 0 else [])]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_accessible(server, visitor, axe, width):
    page = visitor(server, width)
    found = {}
    for name, path in _sample.pages(server.url).items():
        visited(page, path)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        found[name] = faults(page, axe)
    assert {name: one for name, one in found.items() if one} == {}


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


def test_every_page_has_a_title_of_its_own(server, visitor):
    page = visitor(server)
    titles: dict[str, str] = {}
    same = {"studies-none-fits": "studies", "new-json": "new", "new-code": "new", "new-preset": "new"}
    for name, path in _sample.pages(server.url).items():
        # Views of one page share its title.
        kind = same.get(name) or re.sub(r"^(explore|review|operating|link)(?!-gone).*", r"\1", name)
        kind = {"operating": "explore", "link": "explore", "drawer": "study-succeeded", "duplicate": "new"}.get(
            kind, kind
        )
        visited(page, path)
        page.wait_for_function("document.title.endsWith('· Equipoise')")
        titles.setdefault(kind, page.title())
        assert page.title() == titles[kind], name
    assert len(set(titles.values())) == len(titles), titles
    assert titles["run"].endswith("· Run · Equipoise")
    assert titles["study-gone"].endswith(" · Study · Equipoise")


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
