"""A report opened from disk with the network off: it draws, asks for nothing, runs nothing that came with the data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e._server import Server, running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

HOSTILE = "</script><script>window.ran=1</script><img src=https://example.invalid/x onerror=window.ran=1>"
STUDY = {
    "name": HOSTILE,
    "description": HOSTILE + "\n=HYPERLINK('https://example.invalid')",
    "tags": [HOSTILE[:50]],
    "dataset": {"name": "adult", "params": {"limit": 2000}, "subgroups": ["sex", "race", ["sex", "race"]]},
    "model": {"name": "mlp", "params": {"hidden": [4]}},
    "methods": [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1, 4]}}],
    "training": {"epochs": 2, "learning_rate": 0.3},
    "seeds": 2,
    "evaluation": {
        "attacks": [{"name": "loss_threshold"}, {"name": "one_run_audit", "params": {"canaries": 100, "guesses": 20}}]
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("report")) as one:
        yield one


@pytest.fixture(scope="module")
def files(server: Server, tmp_path_factory) -> dict[str, Path]:
    """The report of a study, of one of its settings, of a review, and a model card: as files."""
    job = server.submit(STUDY)
    server.wait_until(job["id"], lambda job: job["status"] == "succeeded")
    settings = sorted({run["setting_id"] for run in server.runs(job["id"])})
    body = {"title": HOSTILE, "question": HOSTILE, "job_ids": [job["id"]], "setting_ids": settings}
    answer = server.http.post(server.url + "/api/reviews", json=body, headers={"Equipoise-Person": "Ada"})
    assert answer.is_success, answer.text
    review = answer.json()["id"]
    said = {"text": HOSTILE}
    path = f"{server.url}/api/reviews/{review}/comments"
    assert server.http.post(path, json=said, headers={"Equipoise-Person": "Ada"}).is_success
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name, address in {
        "study": f"/api/reports?job_id={job['id']}",
        "selection": f"/api/reports?job_id={job['id']}&setting={settings[-1]}",
        "review": f"/api/reports/reviews/{review}",
        "card": f"/api/reports/model-card?setting={settings[-1]}",
    }.items():
        answer = server.http.get(server.url + address)
        assert answer.is_success, answer.text
        assert "attachment" in answer.headers["content-disposition"]
        found[name] = folder / f"{name}.html"
        found[name].write_bytes(answer.content)
    return found


@pytest.fixture
def opened(chromium, files):
    """Opens a file with the network off; at the end nothing may have been asked for and nothing complained of."""
    complaints: list[str] = []
    contexts = []

    def go(name: str, *, width: int = 1440, bypass: bool = False) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 900}, offline=True, bypass_csp=bypass)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
        own = files[name].as_uri()
        page.on(
            "request",
            lambda request: None if request.url.startswith((own, "data:", "blob:")) else complaints.append(request.url),
        )
        page.goto(own)
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("name", ["study", "selection", "review", "card"])
@pytest.mark.parametrize("width", [1440, 390])
def test_it_draws_everything_from_disk_without_network(opened, name, width):
    page = opened(name, width=width)
    plots = page.locator(".plot")
    assert (plots.count() > 0) == (name != "card")
    for plot in plots.all():
        assert plot.locator("svg.main-svg").count() > 0
        assert plot.locator("svg.main-svg").first.bounding_box()["height"] > 100
    assert page.locator(".plot[data-failed]").count() == 0
    assert page.evaluate("window.ran") is None
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    if name in ("study", "review"):
        assert HOSTILE in page.locator("h1").inner_text()
    assert page.locator("a[href]:not([href^='#']):not(.modebar-btn)").count() == 0


def test_dark_changes_the_figures_and_back(opened):
    page = opened("study")

    def paper():
        return page.evaluate("document.querySelector('.plot').layout.font.color")

    light = paper()
    page.get_by_role("button", name="Dark colours").click()
    assert paper() != light
    page.get_by_role("button", name="Light colours").click()
    assert paper() == light


def test_hover_says_what_a_mark_is(opened):
    page = opened("study")
    trace = page.locator(".plot").first.locator(".scatterlayer .points path.point").last
    trace.scroll_into_view_if_needed()
    box = trace.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(".plot .hoverlayer .hovertext")


def test_no_button_sends_a_figure_anywhere(opened):
    page = opened("study")
    page.locator(".plot").first.hover()
    titles = page.locator(".modebar-btn").evaluate_all("all => all.map(one => one.dataset.title || '')")
    assert titles
    assert not [one for one in titles if any(word in one.lower() for word in ("cloud", "share", "edit", "studio"))]


def test_it_prints_light_with_its_figures(opened):
    page = opened("study")
    page.get_by_role("button", name="Dark colours").click()
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 50_000


@pytest.mark.parametrize("name", ["study", "review", "card"])
@pytest.mark.parametrize("dark", [False, True])
def test_everybody_can_read_it(opened, axe, name, dark):
    # The page's policy lets no tool in; that it holds is the matter of the other tests.
    page = opened(name, bypass=True)
    if dark:
        page.get_by_role("button", name="Dark colours").click()
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert axe(page) == []


def test_a_script_that_got_in_could_not_run(opened, files):
    """Even were something not escaped, the policy would stop it."""
    broken = files["study"].with_name("broken.html")
    text = files["study"].read_text(encoding="utf-8")
    broken.write_text(text.replace("<main", "<script>window.ran=1</script><main", 1), encoding="utf-8")
    context = opened("study").context
    page = context.new_page()
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text))
    page.goto(broken.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in one for one in blocked)


def test_the_numbers_of_its_figures_are_those_of_the_page(server, opened, files):
    page = opened("study")
    job = server.get("/api/jobs")["items"][0]["id"]
    theirs = server.get("/api/figures/subgroups", job_id=job)["figure"]["data"]
    stored = page.evaluate(
        "[...document.querySelectorAll('script[type=\"application/json\"]')].map(one => one.textContent)"
    )
    assert json.dumps(theirs, sort_keys=True) in {
        json.dumps(json.loads(one)["figure"]["data"], sort_keys=True) for one in stored
    }
