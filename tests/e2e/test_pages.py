"""What a finished study and its runs show of claims, attacks, audits and alarms; and that everybody can read it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from backend.store.database import Database
from backend.store.tables import MeasurementRow, RunRow, SeriesRow
from tests.e2e._server import Server, running

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 1_000
AUDIT = {"name": "one_run_audit", "params": {"canaries": 100, "guesses": 20}}
TINY = {
    "name": "Claims, attacks and an audit",
    "dataset": {"name": "adult", "params": {"limit": 3000}, "subgroups": ["sex", "race"]},
    "model": {"name": "mlp", "params": {"hidden": [4]}},
    "methods": [
        {"name": "sgd"},
        {"name": "dp_sgd", "params": {"epsilon": [1, 4]}},
        {"name": "soft_ada_clip", "params": {"epsilon": [1, 4]}},
    ],
    "training": {"epochs": 2, "learning_rate": 0.3},
    "seeds": 2,
    "evaluation": {"attacks": [{"name": "loss_threshold"}, {"name": "lira", "params": {"shadow_models": 16}}, AUDIT]},
    "preset": "softadaclip-adult",
}
AUDITED = {
    **TINY,
    "name": "Refuted",
    "methods": [{"name": "dp_sgd", "params": {"epsilon": 2}}],
    "seeds": 2,
    "evaluation": {"attacks": [AUDIT]},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("pages")) as one:
        yield one


@pytest.fixture
def page(chromium, server):
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def finished(server: Server, spec):
    job = server.submit(spec)
    job = server.wait_until(job["id"], lambda job: job["status"] in ("succeeded", "failed"))
    assert job["status"] == "succeeded", job["problem"]
    return job


@pytest.fixture(scope="module")
def study(server):
    return finished(server, TINY)


@pytest.fixture(scope="module")
def private_run(server, study):
    return next(run for run in server.runs(study["id"]) if run["method"] == "soft_ada_clip" and run["epsilon"] == 4)


@pytest.fixture(scope="module")
def refuted(server):
    """A study one of whose two runs has an audit that refutes its claim, as far as its measurements say."""
    job = finished(server, AUDITED)
    run = server.runs(job["id"])[0]
    database = Database(f"sqlite:///{server.data_dir / 'equipoise.sqlite'}")
    with database.write() as session:
        for metric, value in (("one_run_audit_p_at_claim", 1e-6), ("one_run_audit_epsilon", 5.25)):
            (row,) = session.scalars(
                select(MeasurementRow)
                .join(SeriesRow, SeriesRow.id == MeasurementRow.series_id)
                .join(RunRow, RunRow.id == MeasurementRow.run_id)
                .where(RunRow.key == run["id"], SeriesRow.metric == metric)
            ).all()
            row.value = value
    database.dispose()
    return job, run


def figure(page: Page, title: str):
    return page.get_by_role("figure", name=re.compile(title))


def choose(page: Page, menu: str, option: str) -> None:
    page.get_by_role("combobox", name=menu, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_a_study_shows_its_claims_and_each_attack(page, study):
    page.goto(f"/studies/{study['id']}")
    expect(page.get_by_text("Claim: SoftAdaClip reduces subgroup disparity by up to 87 %")).to_be_visible(
        timeout=30 * SECONDS
    )
    expect(page.get_by_text("a changed study, not the planned one").first).to_be_visible()
    expect(figure(page, "Loss-threshold attack")).to_be_visible(timeout=30 * SECONDS)
    page.get_by_role("combobox", name="Attack", exact=True).click()
    # An audit scores no rows, so it has no curve to choose.
    listed = page.get_by_role("listbox").get_by_role("option")
    expect(listed).to_have_text(["Loss-threshold attack", "Likelihood-ratio attack"])
    listed.filter(has_text="Likelihood-ratio attack").click()
    expect(page).to_have_url(re.compile("attack=lira"))
    expect(figure(page, "Likelihood-ratio attack")).to_be_visible(timeout=30 * SECONDS)
    page.reload()
    expect(figure(page, "Likelihood-ratio attack")).to_be_visible(timeout=30 * SECONDS)
    page.go_back()
    expect(figure(page, "Loss-threshold attack")).to_be_visible(timeout=30 * SECONDS)
    expect(page).not_to_have_url(re.compile("attack="))


def test_every_menu_of_a_study_is_in_its_address(page, study):
    page.goto(f"/studies/{study['id']}")
    choose(page, "Compared with", "SoftAdaClip")
    expect(page).to_have_url(re.compile("against=soft_ada_clip"))
    page.get_by_role("combobox", name="Gap between groups of").first.click()
    page.get_by_role("option", name="race", exact=True).click()
    expect(page).to_have_url(re.compile("against=soft_ada_clip&between=race"))
    expect(page.get_by_role("heading", name=re.compile("Loss gap by race against that of SoftAdaClip"))).to_be_visible(
        timeout=30 * SECONDS
    )
    page.reload()
    expect(page.get_by_role("combobox", name="Compared with")).to_have_value("SoftAdaClip", timeout=30 * SECONDS)
    expect(page.get_by_role("combobox", name="Gap between groups of").first).to_have_value("race")


def test_nonsense_in_an_address_is_not_an_error(page, study, private_run):
    nonsense = "against=x&between=hair&attack=x&at=77&group=moon&metric=x&x=y&y=x&subgroup=moon&split=half&sort=x"
    page.goto(f"/studies/{study['id']}?{nonsense}")
    for title in ("Loss gap", "Loss of each subgroup", "Loss-threshold attack"):
        expect(figure(page, title).first).to_be_visible(timeout=30 * SECONDS)
    expect(page.get_by_role("combobox", name="Compared with")).to_have_value("DP-SGD")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.goto(f"/runs/{private_run['id']}?metric=x&history=x&attack=x&sort=x&down=x")
    expect(figure(page, "attack")).to_be_visible(timeout=30 * SECONDS)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_run_shows_exposed_records_its_audit_and_attacks_in_words(page, private_run):
    page.goto(f"/runs/{private_run['id']}")
    table = page.get_by_role("region", name="Most exposed records, Likelihood-ratio attack")
    expect(table).to_be_visible(timeout=30 * SECONDS)
    assert table.get_by_role("row").count() > 1
    expect(page.get_by_text(re.compile(r"Likelihood-ratio attack: compared with 16 shadow models"))).to_be_visible()
    expect(
        page.get_by_text(re.compile(r"ε is at least [\d.]+, with 95 % confidence; \d+ of 20 guesses"))
    ).to_be_visible()
    section = page.get_by_role("heading", name="One-run audit").locator("xpath=..")
    expect(section.get_by_text("Number of canaries")).to_be_visible()
    expect(section.get_by_role("definition")).to_have_text(["mislabelled", "100", "20", "likelihood"])
    expect(page.get_by_text("{")).to_have_count(0)


def test_an_audit_that_refutes_a_claim_is_an_alarm_on_run_and_study(page, server, refuted):
    job, run = refuted
    page.goto(f"/studies/{job['id']}")
    expect(page.get_by_role("alert")).to_contain_text(
        "The audit of 1 run refutes its claimed ε (p below 0.025", timeout=30 * SECONDS
    )
    expect(page.get_by_text("ε refuted")).to_have_count(1)
    page.goto(f"/runs/{run['id']}")
    expect(page.get_by_role("alert")).to_contain_text("it leaks at least ε = 5.25", timeout=30 * SECONDS)
    (other,) = (one for one in server.runs(job["id"]) if one["id"] != run["id"])
    page.goto(f"/runs/{other['id']}")
    expect(page.get_by_text("Noise multiplier σ").first).to_be_visible(timeout=30 * SECONDS)
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(chromium, axe, server, study, private_run, refuted, scheme, width):
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, base_url=server.url, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    waits = {
        f"/studies/{study['id']}": "Likelihood-ratio|Loss-threshold attack",
        f"/runs/{private_run['id']}": "attack",
    }
    for path, drawn in waits.items():
        page.goto(path)
        expect(figure(page, drawn).first.locator("svg.main-svg").first).to_be_visible(timeout=30 * SECONDS)
        page.wait_for_load_state("networkidle")
        assert axe(page) == [], path
    page.goto(f"/studies/{study['id']}?run={private_run['id']}")
    expect(page.get_by_role("dialog").get_by_role("table").first).to_be_visible(timeout=30 * SECONDS)
    page.wait_for_load_state("networkidle")
    assert axe(page) == []
    page.goto(f"/studies/{refuted[0]['id']}")
    expect(page.get_by_role("alert")).to_be_visible(timeout=30 * SECONDS)
    page.wait_for_load_state("networkidle")
    assert axe(page) == []
    page.goto("/calculator")
    expect(page.get_by_role("table").first).to_be_visible(timeout=30 * SECONDS)
    page.wait_for_load_state("networkidle")
    assert axe(page) == []
    # The check sees what it is to see.
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"/favicon.svg\"><input>')")
    assert {one.partition(":")[0] for one in axe(page)} == {"image-alt", "label"}
    context.close()
