"""Reports: one file whose numbers are the API's, in which what people wrote stays text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings
from typer.testing import CliRunner

from backend.cli import app
from backend.contracts.public import Figure, TableColumn
from backend.reports import html
from backend.reports.document import Blank, Code, Document, Drawing, Facts, Listing, Section, Table, Text, columns
from backend.store._sql import now
from tests.backend import synthetic
from tests.backend.test_client import Through

NASTY = [
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "\"><img src=x onerror='window.ran=1'>",
    "<a href='javascript:window.ran=1'>x</a>",
    "<!-- ", "-->", "]]>", "<svg/onload=window.ran=1>", "&lt;b&gt;", "&#60;b&#62;",
    "{{7*7}}", "${alert(1)}", "</style><style>*{display:none}</style>", "<base href='https://example.invalid'>",
    "\u2028\u2029", "=HYPERLINK(\"https://example.invalid\")", "%3Cscript%3E", "</title><script>window.ran=1</script>",
]  # fmt: skip


class Naive(HTMLParser):
    """Reads a report as a browser would: elements, their attributes, text, and the tables cell by cell."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.scripts, self.tables, self.words = [], [], [], [], []
        self._in, self._cell = None, False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        given_ = dict(attributes)
        if tag in ("script", "style"):
            self._in = tag
            if tag == "script":
                self.scripts.append((given_, []))
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell = True
        elif tag == "data":
            self.tables[-1][-1][-1] = float(given_["value"])

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._in = None
        elif tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data):
        if self._in == "script":
            self.scripts[-1][1].append(data)
        elif self._in is None:
            self.words.append(data)
            if self._cell and isinstance(self.tables[-1][-1][-1], str):
                self.tables[-1][-1][-1] += data

    @property
    def text(self):
        return "".join(self.words)

    def table(self, *heads):
        """Rows of the first table whose heads begin so."""
        for found in self.tables:
            if [str(cell).strip() for cell in found[0]][: len(heads)] == list(heads):
                return found[1:]
        raise AssertionError([found[0] for found in self.tables])


def report(client, *jobs, **more):
    answer = client.get("/api/reports", params={"job_id": list(jobs), **more})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
def read(client, study):
    return Naive(report(client, study).text)


def figures_of(read):
    return [json.loads("".join(body)) for given_, body in read.scripts if given_.get("type") == "application/json"]


def test_every_mean_is_that_of_the_measurements(client, study, read):
    items = client.get("/api/measurements", params={"job_id": study, "limit": 1000, "split": "test"}).json()["items"]
    runs = client.get(f"/api/jobs/{study}/runs", params={"limit": 1000}).json()["items"]
    setting = {run["id"]: run["setting_id"] for run in runs}
    groups = {}
    for one in items:
        if one["value"] is not None:
            groups.setdefault((one["metric"], one["subgroup"], setting[one["run_id"]]), []).append(one)
    naive = sorted(
        (round(sum(m["value"] for m in own) / len(own), 9), len(own), min((m["n"] or 0) for m in own))
        for own in groups.values()
    )
    rows = read.table("Metric", "Subgroup", "Setting", "Mean")
    said = sorted((round(row[3], 9), int(row[6]), int(row[7]) if row[7] != "–" else 0) for row in rows)
    assert len(said) == len(naive) > 100
    assert said == naive


def test_the_figures_are_those_of_the_page_light_and_dark(client, study, read):
    stored = figures_of(read)
    assert len(stored) >= 4
    page = {
        theme: client.get("/api/figures/subgroups", params={"job_id": study, "split": "test", "theme": theme}).json()[
            "figure"
        ]
        for theme in ("light", "dark")
    }
    mine = next(one for one in stored if one["figure"] == page["light"])
    dark = json.loads(json.dumps(mine["figure"]))
    for path, value in mine["dark"]:
        at = dark
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
    assert dark == page["dark"]
    assert dark != page["light"]


def test_it_says_data_privacy_methods_and_versions(client, study, read):
    for text in ("aa" * 32, "Statistics", "Adjacency is add/remove of one row", "engine-1", "Wilcoxon", study):
        assert text in read.text
    sizes = {row[0]: row for row in read.table("Subgroup", "Marked")}
    assert sizes["Other"][1].startswith("small")
    assert sizes["White"][1] == ""
    assert sizes["Female"][3] == synthetic.SEXES["sex=Female"]
    settings_ = read.table("Setting", "Configuration", "ε", "Runs")
    assert len(settings_) == 7
    curves = client.get("/api/curves", params={"job_id": study, "y": "loss_gap"}).json()["curves"]
    means = {round(point["y"], 9) for curve in curves for point in curve["points"]}
    assert {round(row[6], 9) for row in settings_} == means


def test_a_selection_holds_its_settings_alone(client, study):
    runs = client.get(f"/api/jobs/{study}/runs", params={"limit": 100}).json()["items"]
    wanted = sorted({run["setting_id"] for run in runs})[1:3]
    read = Naive(report(client, study, setting=wanted).text)
    mine = {run["id"] for run in runs if run["setting_id"] in wanted}
    assert {row[2] for row in read.table("Setting", "Seed", "Run")} == mine
    assert len(read.table("Setting", "Configuration")) == 2
    drawn = json.dumps(figures_of(read))
    assert all(run["id"] not in drawn for run in runs if run["id"] not in mine)
    assert any(run in drawn for run in mine)


def test_what_ended_later_is_not_in_it(client, database, study):
    moment = now()
    job = client.post("/api/jobs", json=synthetic.spec(seeds=5)).json()["id"]
    synthetic.measure(database, job)
    then = Naive(report(client, job, as_of=moment.isoformat()).text)
    later = Naive(report(client, job).text)
    assert {row[1] for row in then.table("Setting", "Seed", "Run")} == {0.0, 1.0, 2.0}
    assert {row[1] for row in later.table("Setting", "Seed", "Run")} == {0.0, 1.0, 2.0, 3.0, 4.0}


def test_a_study_without_results_has_a_report_that_says_so(client):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    read = Naive(report(client, job).text)
    assert "No results yet" in read.text
    assert figures_of(read) == []


@pytest.mark.parametrize(
    ("params", "status", "field"),
    [
        ({}, 422, "job_id"),
        ({"job_id": "nothere"}, 404, None),
        ({"job_id": "study", "setting": 999}, 422, "setting.0"),
        ({"job_id": "study", "y": "nonsense"}, 422, "y"),
        ({"job_id": "study", "wrong": 1}, 422, "wrong"),
    ],
)
def test_bad_requests_name_the_field(client, study, params, status, field):
    params = {name: study if value == "study" else value for name, value in params.items()}
    answer = client.get("/api/reports", params=params)
    assert answer.status_code == status
    if field is not None:
        assert [one["field"] for one in answer.json()["problems"]] == [field]


# --- nothing in it runs but its own two scripts -----------------------------------------------------------------------


def test_the_policy_names_exactly_the_scripts_and_the_style_that_are_there(client, study):
    text = report(client, study).text
    read = Naive(text)
    policy = next(value for tag, name, value in read.attributes if tag == "meta" and "script-src" in str(value))
    own = ["".join(body) for given_, body in read.scripts if given_.get("type") != "application/json"]
    hashes = {"'sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() + "'" for one in own}
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert set(directives["script-src"].split()) == hashes
    assert len(own) == 2
    assert "connect-src" not in directives
    assert "unsafe-inline" not in directives["script-src"] + directives["style-src-elem"]
    sheets = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert len(sheets) == 1
    assert base64.b64encode(hashlib.sha256(sheets[0].encode()).digest()).decode() in directives["style-src-elem"]
    assert not [value for tag, name, value in read.attributes if name in ("src", "href") and not value.startswith("#")]


def document(text):
    figure = Figure(
        name="x", title=text, caption=text, figure={"data": [{"text": text, text: [text]}], "layout": {"height": 300}},
        columns=[TableColumn(title=text, unit=text, numeric=False)], rows=[[text]],
    )  # fmt: skip
    blocks = [
        Text(text), Text(text, "note"), Text(text, "alarm"), Listing([text]), Facts([(text, text)]), Blank(text),
        Table(text, columns(text), [[text]], folded=True, left_out=text), Code(text, text), Drawing(figure, figure),
    ]  # fmt: skip
    return Document(text, text, blocks[:3], [Section(text, blocks), Section(text, [], 3)], now(), text)


PLAIN = None


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)))
@example("</script>")
def test_whatever_is_written_the_elements_are_the_same_and_the_text_comes_back(text):
    global PLAIN
    PLAIN = PLAIN or Naive("".join(html.write(document("plain"))))
    read = Naive("".join(html.write(document(text))))
    assert read.elements == PLAIN.elements
    assert [(t, n) for t, n, _ in read.attributes] == [(t, n) for t, n, _ in PLAIN.attributes]
    # A browser makes one line break of every kind of them; nothing else may change.
    assert read.text.count(text) >= 10 or "\r" in text
    stored = figures_of(read)[0]["figure"]["data"][0]
    assert stored == {"text": text, text: [text]}


def test_a_hostile_study_is_inert(client, database):
    name = "".join(NASTY)[:190]
    job = client.post(
        "/api/jobs", json=synthetic.spec(name=name, description="\n".join(NASTY), tags=[n[:50] for n in NASTY[:5]])
    ).json()["id"]
    synthetic.measure(database, job)
    answer = report(client, job)
    assert quote(answer.headers["content-disposition"], safe=' ;="').count("%") == 0
    read = Naive(answer.text)
    plain = client.post("/api/jobs", json=synthetic.spec(name="plain", description="x", tags=["a"])).json()["id"]
    other = Naive(report(client, plain).text)
    assert read.elements == other.elements
    assert "window.ran = 1" in read.text


def test_a_figure_that_is_too_large_is_left_to_its_table():
    figure = Figure(
        name="x", title="Large", caption="", figure={"data": [{"x": list(range(400_000))}], "layout": {}},
        columns=[TableColumn(title="x")], rows=[[1]],
    )  # fmt: skip
    text = "".join(html.write(Document("T", "K", [], [Section("F", [Drawing(figure, figure)])], now(), "1")))
    read = Naive(text)
    assert figures_of(read) == []
    assert "Not drawn here" in read.text
    assert read.table("x") == [[1.0]]


def test_it_says_its_size(client, study):
    text = report(client, study).text
    said = re.search(r"This file of ([\d.]+) MB, ([\d.]+) MB of it the library", text)
    assert float(said[1]) == pytest.approx(len(text.encode()) / 1e6, abs=0.1)
    assert float(said[2]) == pytest.approx(len(html.plotly().encode()) / 1e6, abs=0.06)


def test_python_and_the_command_line_give_the_same_files(client, study, monkeypatch):
    setting = client.get(f"/api/jobs/{study}/runs").json()["items"][0]["setting_id"]
    moment = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")
    plain = httpx.Client

    def through(**how):
        how.pop("transport", None)
        return plain(transport=Through(client), **how)

    monkeypatch.setattr("backend.client.httpx.Client", through)
    for arguments, path, params in (
        (["report", study], "/api/reports", {"job_id": study}),
        (["report", study, "--setting", str(setting)], "/api/reports", {"job_id": study, "setting": setting}),
        (["model-card", str(setting)], "/api/reports/model-card", {"setting": setting, "format": "md"}),
        (["model-card", str(setting), "--html"], "/api/reports/model-card", {"setting": setting}),
    ):
        answer = CliRunner().invoke(app, arguments)
        assert answer.exit_code == 0, answer.output
        assert moment.sub("", answer.output).strip() == moment.sub("", client.get(path, params=params).text).strip()
    assert CliRunner().invoke(app, ["report", "x", "--review", "--setting", "1"]).exit_code == 1


def test_findings_are_claims_with_a_test_or_say_that_there_is_none(client, database, study, read):
    assert "The data support no sentence that compares methods: with 3 seeds no paired test can reach" in read.text
    job = client.post("/api/jobs", json=synthetic.spec(seeds=10)).json()["id"]
    synthetic.measure(database, job)
    found = Naive(report(client, job).text).text
    sentence = client.get("/api/figures/tradeoff", params={"job_id": job, "y": "loss_gap"}).json()["title"]
    assert "p = " in sentence
    assert found.count(sentence) >= 2, "among the findings and above its figure"
