"""A report opened from disk with the network off: it draws, asks for nothing, runs nothing that came with the data."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

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
def study(server: Server) -> str:
    job = server.submit(STUDY)
    return server.wait_until(job["id"], lambda job: job["status"] == "succeeded")["id"]


@pytest.fixture(scope="module")
def settings(server: Server, study) -> list[int]:
    return sorted({run["setting_id"] for run in server.runs(study)})


@pytest.fixture(scope="module")
def files(chromium, server: Server, study, settings, tmp_path_factory) -> dict[str, Path]:
    """What the menus of the page save: three reports, a model card in both forms, a bundle, tables."""
    body = {"title": HOSTILE, "question": HOSTILE, "job_ids": [study], "setting_ids": settings}
    answer = server.http.post(server.url + "/api/reviews", json=body, headers={"Equipoise-Person": "Ada"})
    assert answer.is_success, answer.text
    review = answer.json()["id"]
    said = {"text": HOSTILE}
    path = f"{server.url}/api/reviews/{review}/comments"
    assert server.http.post(path, json=said, headers={"Equipoise-Person": "Ada"}).is_success
    folder = tmp_path_factory.mktemp("files")
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=server.url)
    page = context.new_page()
    found = {}

    def saved(name: str, target) -> None:
        with page.expect_download() as download:
            target.click()
        found[name] = folder / f"{name}{Path(download.value.suggested_filename).suffix}"
        download.value.save_as(found[name])

    def item(text: str):
        page.get_by_role("button", name="Report", exact=True).click()
        return page.get_by_role("menuitem", name=text, exact=True)

    page.goto(f"/studies/{study}")
    saved("study", item("Report of this study (HTML)"))
    saved("numbers", item("Measurements (CSV)"))
    saved("bundle", item("Rerun bundle of the study (JSON)"))
    item("Model card of a setting").click()
    page.get_by_role("combobox", name="Setting").click()
    page.get_by_role("option", name="DP-SGD, ε = 4", exact=True).click()
    saved("card", page.get_by_role("link", name="HTML"))
    saved("markdown", page.get_by_role("link", name="Markdown"))
    page.goto(f"/explore?jobs={study}&select={settings[-1]}")
    saved("selection", item("Report of the selection (HTML)"))
    saved("selected", item("Measurements (CSV)"))
    page.goto(f"/reviews/{review}")
    saved("review", item("Report of this review (HTML)"))
    saved("reviewed", item("Measurements (CSV)"))
    context.close()
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


def test_the_numbers_of_its_figures_are_those_of_the_page(server, study, opened):
    page = opened("study")
    theirs = server.get("/api/figures/subgroups", job_id=study)["figure"]["data"]
    stored = page.evaluate(
        "[...document.querySelectorAll('script[type=\"application/json\"]')].map(one => one.textContent)"
    )
    assert json.dumps(theirs, sort_keys=True) in {
        json.dumps(json.loads(one)["figure"]["data"], sort_keys=True) for one in stored
    }


def test_every_figure_has_its_sentence_and_its_table_and_can_be_zoomed(server, study, opened):
    page = opened("study")
    said = server.get("/api/figures/subgroups", job_id=study)
    assert said["title"] in page.locator("main").inner_text()
    for figure in page.locator("figure").all():
        assert figure.locator("xpath=preceding::*[self::h2 or self::h3][1]").inner_text().strip()
        assert figure.locator("figcaption").inner_text().strip()
        table = figure.locator("xpath=following::table[1]")
        assert table.locator("tr").count() > 1
    plot = page.locator(".plot").first
    plot.scroll_into_view_if_needed()

    def ranges():
        return plot.evaluate("plot => [...plot._fullLayout.xaxis.range, ...plot._fullLayout.yaxis.range]")

    whole, area = ranges(), plot.locator(".nsewdrag").first.bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.3, area["y"] + area["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.6, area["y"] + area["height"] * 0.7, steps=5)
    page.mouse.up()
    zoomed = ranges()
    assert whole[0] < zoomed[0] < zoomed[1] < whole[1]
    page.mouse.dblclick(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    assert ranges() == whole


@pytest.mark.parametrize("name", ["numbers", "selected", "reviewed"])
def test_the_csv_holds_the_numbers_of_the_api_and_no_formula(server, study, settings, files, name):
    with files[name].open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    of = {} if name != "selected" else {"setting_id": settings[-1]}
    theirs, page = [], {"next": None}
    while True:
        page = server.get("/api/measurements", job_id=study, limit=1000, **of, **_after(page))
        theirs += page["items"]
        if not page["next"]:
            break

    def key(one):
        value = one["value"]
        return (
            one["run_id"],
            one["metric"],
            one["subgroup"],
            one["split"],
            None if value in ("", None) else float(value),
        )

    if name == "reviewed":
        # A snapshot keeps what has a value.
        theirs = [one for one in theirs if one["value"] is not None]
    assert sorted(map(key, rows), key=str) == sorted(map(key, theirs), key=str)
    assert len(rows) > 100
    for row in rows:
        assert not [cell for cell in row.values() if cell[:1] in tuple("=+@\t\r") or re.match(r"-(?![\d.])", cell)]


def _after(page):
    return {"cursor": page["next"]} if page["next"] else {}


def test_the_model_card_says_the_same_in_both_forms_and_holds_no_markup(opened, files):
    page = opened("card")
    text = files["markdown"].read_text(encoding="utf-8")
    heads = [one.lstrip("# ").replace("\\", "") for one in text.splitlines() if re.match("#{1,3} ", one)]
    assert [one.strip() for one in page.locator("h1, h2, h3").all_inner_texts()] == heads
    assert "Ethical considerations" in " ".join(heads).replace("Ethical Considerations", "Ethical considerations")
    assert not re.search(r"(?<!\\)<|\]\(|(?<!\\)!\[", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def test_a_bundle_of_the_page_is_trained_again_elsewhere_to_the_bit(chromium, server, tmp_path):
    """Through the new server's page and through the command line, both compared by `equipoise verify`."""
    small = {**STUDY, "name": "Again", "evaluation": {}, "seeds": 1, "methods": STUDY["methods"]}
    job = server.submit(small)
    server.wait_until(job["id"], lambda job: job["status"] == "succeeded")
    context = chromium.new_context(base_url=server.url)
    page = context.new_page()
    page.goto(f"/studies/{job['id']}")
    page.get_by_role("button", name="Report", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Rerun bundle of the study (JSON)").click()
    bundle = tmp_path / "bundle.json"
    download.value.save_as(bundle)
    context.close()

    def equipoise(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "backend.cli", *arguments, "--url", other.url]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    with running(tmp_path) as other:
        context = chromium.new_context(base_url=other.url)
        page = context.new_page()
        page.goto("/new")
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Run a bundle").click()
        chooser.value.set_files({"name": "b.json", "mimeType": "application/json", "buffer": b'{"spec": 1}'})
        expect(page.get_by_role("alert").filter(has_text="This file is not a rerun bundle")).to_be_visible()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Run a bundle").click()
        chooser.value.set_files(bundle)
        expect(page.get_by_text("All 3 runs are the same here, code and data included")).to_be_visible()
        expect(page.get_by_text("This file is not a rerun bundle")).to_have_count(0)
        page.get_by_role("button", name=re.compile(r"^Train its 3\s+runs$")).click()
        page.wait_for_url(re.compile(r"/studies/\w+"))
        trained = page.url.rpartition("/")[2]
        context.close()
        other.wait_until(trained, lambda job: job["status"] == "succeeded")
        assert not any(run["reused"] for run in other.runs(trained))
        same = equipoise("verify", str(bundle), trained)
        assert same.returncode == 0, same.stderr
        assert re.search(r"All [\d,]+ numbers are the same, bit for bit", same.stdout + same.stderr)
        submitted = equipoise("submit", str(bundle))
        assert submitted.returncode == 0, submitted.stderr
        again = submitted.stdout.strip()
        other.wait_until(again, lambda job: job["status"] == "succeeded")
        assert equipoise("verify", str(bundle), again).returncode == 0
        changed = json.loads(bundle.read_text(encoding="utf-8"))
        numbers = next(one["values"] for one in changed["series"] if one["metric"] == "loss")
        numbers[0] = math.nextafter(numbers[0], math.inf)
        bundle.write_text(json.dumps(changed), encoding="utf-8")
        other_bits = equipoise("verify", str(bundle), again)
        assert other_bits.returncode == 1
        assert "loss" in other_bits.stderr + other_bits.stdout
