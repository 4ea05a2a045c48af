"""What people and plugins write is text everywhere: page, figures, downloads, reports, cards, notices.

The browser ignores the page's policy here: it would stop what escaping had let through, and hide it.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect

from backend.contracts.expansion import expand
from backend.contracts.spec import JobSpec
from backend.settings import Settings
from backend.store import jobs, runs, schema, workers
from backend.store.database import Database
from tests.backend import synthetic
from tests.e2e._server import running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 1_000
#: Loads an address that nothing else asks for, sets a variable, or opens a link, wherever it is taken for markup.
IMAGE = '<img src=/pwned onerror="window.__pwned=1">'
LINK = '<a href="javascript:window.__pwned=1">go</a>'
SCRIPT = "</script><script>window.__pwned=1</script>"
EVIL = [
    IMAGE,
    LINK,
    SCRIPT,
    "<b>bold</b> & 'quoted' \"twice\" &amp; &lt;i&gt;",
    "![x](https://pwned.invalid/x) [y](javascript:window.__pwned=1) <https://pwned.invalid>",
    "https://pwned.invalid www.pwned.invalid",
    "=HYPERLINK(\"https://pwned.invalid\")",
    "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1",
    "\u202egnorw si siht\u202c", "\u2066\u202eunclosed",
    "W" * 190,
]  # fmt: skip
ALL = "\n".join(EVIL)
#: A group of people, a method, a metric: what a plugin names.
GROUP, METHOD, METRIC = f"={IMAGE}", f'@{LINK} "M"', f'{IMAGE} & "loss"'
#: Elements that make the page scroll sideways.
WIDER = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('main *')]
  .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
  .filter(one => { for (let at = one; at; at = at.parentElement)
    if (at !== document.body && getComputedStyle(at).overflowX !== 'visible') return false
    return true })
  .map(one => one.outerHTML.slice(0, 160) + ' ... ' + one.textContent.slice(0, 80))"""
ADA, BEN = f"Ada {IMAGE}"[:90], "=Ben <b>"


def named(catalogue):
    """The catalogue with hostile titles."""
    plugins = []
    for plugin in catalogue.plugins:
        if plugin.name == "dp_sgd":
            plugin = plugin.model_copy(update={"title": METHOD, "summary": ALL, "reference": ALL})
        if plugin.kind == "dataset":
            sex, *others = plugin.dataset.attributes
            sex = sex.model_copy(update={"title": IMAGE, "values": [GROUP, "Male"]})
            facts = plugin.dataset.model_copy(update={"attributes": [sex, *others]})
            plugin = plugin.model_copy(update={"title": IMAGE, "summary": ALL, "dataset": facts})
        plugins.append(plugin)
    metrics = [
        one.model_copy(update={"title": METRIC, "explanation": ALL, "unit": "<i>nats</i>"})
        if one.name == "loss"
        else one
        for one in catalogue.metrics
    ]
    return catalogue.model_copy(update={"plugins": plugins, "metrics": metrics})


def of_group(result):
    """The result with the hostile group's name."""

    def name(subgroup):
        return f"sex={GROUP}" if subgroup == "sex=Female" else subgroup

    return result.model_copy(
        update={
            "measurements": [m.model_copy(update={"subgroup": name(m.subgroup)}) for m in result.measurements],
            "rocs": [r.model_copy(update={"subgroup": name(r.subgroup)}) for r in result.rocs],
        }
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inert")
    database = Database(Settings(data_dir=folder / "data").url())
    schema.upgrade(database)
    spec = JobSpec.model_validate(
        synthetic.spec(name=IMAGE + LINK, description=ALL, tags=[IMAGE, "=1+1", "<b>tag</b>"], seeds=6)
    )
    catalogue = named(synthetic.catalogue())
    with database.write() as session:
        workers.publish_catalogue(session, catalogue)
        configs = expand(spec, catalogue, max_runs=1000).configs
        job = jobs.create(session, spec, runs=len(configs), submitter=ADA)
        runs.attach(session, job.id, configs)
        study = job.id
    with database.write() as session:
        attempt = jobs.claim(session, study, "worker-1")
        runs.claim(session, study, attempt, [config.key() for config in configs])
        for config in configs:
            assert runs.write_result(session, study, attempt, of_group(synthetic.result(config)))
        jobs.finish(session, study, attempt, "succeeded")
    database.dispose()
    with running(folder, worker=False) as one:
        one.study = study
        one.settings = list(dict.fromkeys(run["setting_id"] for run in one.runs(study)))
        one.review = post(
            one,
            "/api/reviews",
            {
                "title": IMAGE + LINK,
                "question": ALL,
                "job_ids": [study],
                "setting_ids": one.settings[:3],
                "members": [{"name": BEN, "role": "approver"}],
            },
        )["id"]
        path = f"/api/reviews/{one.review}"
        anchors = [
            {"kind": "review"},
            {"kind": "subgroup", "subgroup": f"sex={GROUP}"},
            {"kind": "setting", "setting_ids": [one.settings[1]]},
        ]
        for anchor in anchors:
            post(one, f"{path}/comments", {"text": f"@{BEN} {ALL}", "anchor": anchor})
        post(one, f"{path}/decisions", {"decision": "request_changes", "reason": ALL}, BEN)
        task = {
            "title": IMAGE,
            "instructions": ALL,
            "warning": IMAGE,
            "items": [{"content": text, "hidden": {"<b>arm": text[:90]}} for text in EVIL if text.strip()],
            "scale": {"points": [{"value": 0, "label": IMAGE[:40]}, {"value": 1, "label": "=yes"}]},
            "raters": [ADA, BEN],
        }
        one.task = post(one, f"{path}/tasks", task)["id"]
        count = len(task["items"])
        for who in (ADA, BEN):
            ratings = [{"item": i + 1, "value": i % 2, "note": EVIL[i % 12]} for i in range(count)]
            post(one, f"{path}/tasks/{one.task}/ratings", {"ratings": ratings}, who)
        one.open_task = post(one, f"{path}/tasks", {**task, "title": LINK})["id"]
        post(one, f"{path}/tasks/{one.task}/close", None)
        yield one


def post(server, path: str, body, who: str = ADA):
    answer = server.http.post(server.url + path, json=body, headers={"Equipoise-Person": quote(who)})
    assert answer.is_success, answer.text
    return answer.json()


@pytest.fixture
def page(chromium, server):
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=server.url, bypass_csp=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: "pwned" in request.url and complaints.append(request.url))
    page.goto("/studies")
    page.evaluate("name => localStorage.setItem('equipoise-person', name)", BEN)
    yield page
    context.close()
    assert complaints == []


def hold(page: Page, *texts: str) -> None:
    """What is there is text: nothing ran, nothing is an element of it, nothing is escaped twice."""
    assert page.evaluate("window.__pwned") is None
    found = page.evaluate(
        """() => [...document.querySelectorAll('main img, main script:not([type="application/json"]), [onerror],'
            + ' a[href^="javascript" i], svg a, [href*="pwned"]')].map(one => one.outerHTML.slice(0, 200))"""
    )
    assert found == []
    # Texts of a figure keep their source beside them; what is drawn is read.
    drawn = page.evaluate("[...document.querySelectorAll('svg text')].map(one => one.textContent)")
    assert not [one for one in drawn if re.search(r"&(quot|#x27|lt|gt);", one.replace("&lt;i&gt;", ""))]
    said = page.locator("main").inner_text() + "\n".join(drawn)
    for text in texts:
        assert text in said.replace("\u00a0", " "), text
    assert page.evaluate(WIDER) == []


def drawn(page: Page, count: int = 1) -> None:
    for place in range(count):
        expect(page.locator("svg.main-svg").nth(2 * place)).to_be_attached(timeout=30 * SECONDS)
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("width", [1440, 390])
def test_on_the_pages_of_studies(page, server, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/studies")
    expect(page.get_by_role("link", name=IMAGE + LINK)).to_be_visible()
    hold(page, IMAGE, "=1+1")
    assert IMAGE not in page.title() or page.evaluate("document.title").count("<") > 0
    page.goto(f"/studies/{server.study}")
    drawn(page, 3)
    hold(page, IMAGE + LINK, METHOD)
    for mark in page.locator(".scatterlayer .points path").all()[:3]:
        mark.dispatch_event("mouseover")
    page.goto(f"/studies/{server.study}?run={server.runs(server.study)[-1]['id']}")
    expect(page.get_by_role("dialog").get_by_role("table").first).to_be_visible(timeout=30 * SECONDS)
    hold(page)
    page.goto(f"/runs/{server.runs(server.study)[-1]['id']}")
    drawn(page)
    hold(page)
    page.goto("/data")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    hold(page)


def test_in_every_panel_of_the_explorer_and_what_it_saves(page, server):
    for panel in ("subgroups", "intersections", "parallel", "audit", "roc", "history"):
        page.goto(
            f"/explore?jobs={server.study}&x=accuracy&y=loss&color=method&panel={panel}&select={server.settings[1]}"
        )
        drawn(page)
        hold(page, METHOD)
    page.goto(f"/explore?jobs={server.study}&x=loss&y=accuracy&facet=method&panel=subgroups")
    drawn(page, 2)
    hold(page, METRIC)
    # Hover texts are drawn last and hold the most.
    for plot in page.locator(".js-plotly-plot").all():
        plot.scroll_into_view_if_needed()
        for mark in plot.locator(".scatterlayer .points path").all()[:4]:
            box = mark.bounding_box()
            if box:
                page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
                page.wait_for_timeout(120)
                hold(page)
    panel = page.get_by_role("tabpanel")
    for kind in ("CSV of the values drawn", "SVG drawing"):
        panel.get_by_role("button", name="Download this figure").click()
        with page.expect_download() as download:
            page.get_by_role("menuitem", name=kind).click()
        text = Path(download.value.path()).read_text(encoding="utf-8-sig")
        if kind.startswith("CSV"):
            rows = list(csv.reader(io.StringIO(text, newline="")))
            assert any("'=<img" in cell or "'=" + IMAGE in cell or GROUP in cell for row in rows for cell in row)
            assert not [cell for row in rows for cell in row if re.match(r"[=+@\t\r]|-(?![\d.])", cell)]
        else:
            picture = ElementTree.fromstring(text)
            assert {one.tag.rpartition("}")[2] for one in picture.iter()}.isdisjoint({"a", "img", "image", "script"})
            written = ["".join(one.itertext()) for one in picture.iter("{http://www.w3.org/2000/svg}text")]
            assert any(IMAGE in one for one in written)
            assert not [one for one in written if "&lt;" in one]


def test_in_a_review_its_history_and_its_ratings(page, server):
    path = f"/reviews/{server.review}"
    for view, text in (("", ALL[:60]), ("?tab=history", IMAGE), ("?tab=members", BEN), ("?tab=ratings", LINK)):
        page.goto(path + view)
        expect(page.get_by_role("heading", level=1)).to_have_text(IMAGE + LINK)
        if not view:
            drawn(page, 2)
        page.wait_for_load_state("networkidle")
        hold(page, text)
    page.goto("/reviews")
    expect(page.get_by_role("link", name=IMAGE + LINK)).to_be_visible()
    hold(page)
    page.goto(f"{path}/tasks/{server.open_task}")
    page.get_by_role("button", name="Show the texts").click()
    hold(page, IMAGE[:40])
    page.goto(f"{path}/tasks/{server.task}")
    drawn(page)
    hold(page, IMAGE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Ratings as CSV").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert "'" + EVIL[6] in cells
    assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-(?![\d.])|-\d+\D", cell)]
    page.get_by_role("button", name=re.compile("^Notifications")).last.click()
    expect(page.get_by_role("dialog", name="Notifications")).to_contain_text(IMAGE[:30])
    hold(page)


def test_in_reports_and_cards_even_without_their_policy(page, server, tmp_path):
    for name, address in {
        "study": f"/api/reports?job_id={server.study}",
        "review": f"/api/reports/reviews/{server.review}",
        "card": f"/api/reports/model-card?setting={server.settings[1]}&job_id={server.study}",
    }.items():
        file = tmp_path / f"{name}.html"
        file.write_bytes(server.http.get(server.url + address).content)
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        hold(page, IMAGE)
        for plot in page.locator(".plot").all():
            plot.scroll_into_view_if_needed()
            mark = plot.locator(".scatterlayer .points path").last
            if mark.count() and (box := mark.bounding_box()):
                page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
                page.wait_for_timeout(120)
        hold(page)
