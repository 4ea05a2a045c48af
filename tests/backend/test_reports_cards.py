"""Model cards: the headings of Mitchell et al., numbers of the API, blanks for what nobody told us; inert Markdown."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from backend.reports import markdown
from tests.backend import synthetic
from tests.backend.test_reports import NASTY, Naive, document

HEADINGS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]


@pytest.fixture
def setting(client, study):
    runs = client.get(f"/api/jobs/{study}/runs", params={"limit": 100}).json()["items"]
    return next(run["setting_id"] for run in runs if run["method"] == "soft_ada_clip" and run["epsilon"] == 1)


def card(client, setting, form="md", **more):
    answer = client.get("/api/reports/model-card", params={"setting": setting, "format": form, **more})
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    return answer.text


def test_it_has_the_headings_in_order_in_both_forms(client, setting):
    text = card(client, setting)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert "### Intersectional results" in text
    read = Naive(card(client, setting, "html"))
    assert [h for h in HEADINGS if f"{h}\n" in read.text] == HEADINGS
    assert read.elements.count("h2") == len(HEADINGS)


def test_the_numbers_are_those_of_its_runs(client, study, setting):
    runs = [r for r in client.get(f"/api/jobs/{study}/runs").json()["items"] if r["setting_id"] == setting]
    params = {"run_id": [run["id"] for run in runs], "split": "test", "limit": 1000}
    found = {}
    for one in client.get("/api/measurements", params=params).json()["items"]:
        if one["value"] is not None and one["metric"] != "epsilon":
            found.setdefault((one["metric"], one["subgroup"]), []).append(one["value"])
    rows = Naive(card(client, setting, "html")).table("Metric", "Subgroup", "Marked", "Unit", "Mean")
    naive = sorted((round(sum(v) / len(v), 9), len(v)) for v in found.values())
    assert sorted((round(row[4], 9), int(row[7])) for row in rows) == naive


def test_what_nobody_told_us_is_a_blank_and_small_groups_are_named(client, setting):
    text = card(client, setting)
    blanks = re.findall(r"^> \*\*To be filled in:\*\* (.+)$", text, re.MULTILINE)
    for word in ("answers for it", "intended uses", "intended users", "Out-of-scope", "harms", "threshold", "consent"):
        assert any(word in blank for blank in blanks), word
    assert "Fewer than 20 test rows, so that their figures say little: Other" in text
    assert "With 3 seeds no paired test" in text


def test_a_card_of_an_unknown_setting_is_404(client, study):
    for params in ({"setting": 4711}, {"setting": 1, "job_id": "nothere"}):
        assert client.get("/api/reports/model-card", params=params).status_code == 404
    assert client.get("/api/reports/model-card", params={"setting": "x"}).status_code == 422


def tokens(text):
    """Kinds of everything that a renderer finds, texts aside; inline elements in their order."""
    found = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        found.append(token.type)
        found += [child.type for child in token.children or [] if child.type != "text"]
    return found


def words(text):
    parts = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        parts += [child.content for child in token.children or [] if child.type == "text"]
    return parts


MARKUP = [
    "# heading", "- item", "* item", "+ item", "1. item", "2) item", "> quote", "```", "~~~", "---", "===", "| a | b |",
    "**bold**", "_em_", "~~gone~~", "`code`", "[x](http://y.invalid)", "![x](http://y.invalid/z.png)",
    "<http://y.invalid>",
    "http://y.invalid", "www.y.invalid", "a@y.invalid", "&amp;", "\\", "a\\", "    code", "<b>x</b>", "<!-- x -->",
    "[x]: y",
    "a\n\n# b", "a|b", "$x$", "=1+1",
]  # fmt: skip


@settings(max_examples=200)
@given(
    st.one_of(
        st.sampled_from(MARKUP + NASTY), st.text(min_size=1), st.text("#*_-+>|`[]()<>!\\&=1.~:/@$ \n", min_size=1)
    )
)
def test_markdown_of_any_text_has_the_same_structure_and_reads_as_written(text):
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not shown:
        return
    # Code is told apart by its fence; the next test is about it.
    code = "plain\n\n"
    ours = "".join(markdown.write(document(text))).replace(markdown._block(document(text).sections[0].blocks[7]), code)
    plain = "".join(markdown.write(document("plain"))).replace(
        markdown._block(document("plain").sections[0].blocks[7]), code
    )
    assert tokens(ours) == tokens(plain)
    assert sum(shown in "".join(part) for part in words(ours)) >= 8 or shown in "".join(words(ours))
    for marker in ("://", "www.", "@"):
        assert marker not in ours


@given(st.text(min_size=1))
def test_code_ends_where_it_ends(text):
    whole = "".join(markdown.write(document(text)))
    fences = [t for t in MarkdownIt("commonmark").parse(whole) if t.type == "fence"]
    assert len(fences) == 1
    assert (
        fences[0].content.rstrip("\n")
        == text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd").rstrip()
        or fences[0].content.split() == text.split()
    )


def test_hostile_names_are_inert_in_a_card(client, database):
    job = client.post("/api/jobs", json=synthetic.spec(name="".join(NASTY)[:190], description="\n".join(MARKUP))).json()
    synthetic.measure(database, job["id"])
    setting = client.get(f"/api/jobs/{job['id']}/runs").json()["items"][0]["setting_id"]
    text = card(client, setting)
    found = MarkdownIt("commonmark").enable("table").parse(text)
    assert not [t for t in found if t.type in ("html_block", "code_block")]
    inline = {child.type for t in found for child in t.children or []}
    assert inline <= {"text", "strong_open", "strong_close", "softbreak"}
