"""The explorer: frontier with its doubt, what is kept in the process, small multiples, new figures, files."""

import csv
import io

import numpy as np
import pytest

from backend.analysis.frontier import how_often
from backend.store import columns
from tests.backend import synthetic
from tests.backend.test_figures import ask


def naive(x, y, place, seeds, count, x_higher, y_higher, resamples):
    """Resample by resample and pair by pair, as the definition says."""
    names = np.unique(seeds)
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    hits = np.zeros(count)
    for weights in drawn:
        means = []
        for s in range(count):
            w = np.array([weights[np.searchsorted(names, seed)] for seed in seeds[place == s]], dtype=float)
            if w.sum() == 0:
                means.append(None)
                continue
            a, b = (float((w * v[place == s]).sum() / w.sum()) for v in (x, y))
            means.append((-a if x_higher else a, -b if y_higher else b))
        for i, mine in enumerate(means):
            beaten = mine is None or any(
                o is not None and o[0] <= mine[0] and o[1] <= mine[1] and o != mine for o in means
            )
            hits[i] += not beaten
    return hits / resamples


@pytest.mark.parametrize("x_higher", [False, True])
@pytest.mark.parametrize("y_higher", [False, True])
@pytest.mark.parametrize("shared_x", [False, True])
def test_how_often_on_the_frontier_is_that_of_the_definition(x_higher, y_higher, shared_x):
    random = np.random.default_rng(3)
    count, seeds = 12, np.arange(5)
    place, seed = np.repeat(np.arange(count), 5), np.tile(seeds, count)
    x = np.repeat(np.arange(count) % 3, 5).astype(float) if shared_x else random.normal(place % 4, 0.5)
    y = random.normal(-(place % 5), 0.8)
    keep = random.random(len(place)) < 0.85
    arguments = (x[keep], y[keep], place[keep], seed[keep], count)
    got = how_often(*arguments, x_higher=x_higher, y_higher=y_higher, resamples=60)
    expected = naive(*arguments, x_higher, y_higher, 60)
    assert got == pytest.approx(expected, abs=2 / 60), "rounding may decide a tie"
    assert 0 < got.max() <= 1


def test_one_seed_says_nothing_of_doubt():
    one = np.zeros(3, dtype=np.int64)
    got = how_often(np.arange(3.0), np.arange(3.0), np.arange(3), one, 3, x_higher=False, y_higher=False)
    assert np.isnan(got).all()


def test_what_is_kept_follows_every_new_result(client, database):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    for done in (1, 2, 9):
        synthetic.measure(database, job, only=done if done < 9 else None, finish=done == 9)
        menu = client.get("/api/series", params={"job_id": job}).json()
        figure = ask(client, "tradeoff", job_id=job)
        assert menu["runs"] == {1: 1, 2: 3, 9: 21}[done]
        assert sum(row[-2] for row in figure["rows"]) == menu["runs"]


def test_menus_are_those_of_a_full_scan(client, study, database):
    from sqlalchemy import text

    with database.read() as session:
        ids = np.sort(columns.run_columns(session, [study]).ids)
        found = columns.series_in(session, [study], ids)
        rows = session.execute(
            text("SELECT DISTINCT metric, subgroup, split FROM measurements JOIN series ON series.id = series_id")
        )
        assert found == sorted(tuple(row) for row in rows)


@pytest.mark.parametrize("facet", ["method", "model", "sex", "method.clip"])
def test_small_multiples_share_their_axes_or_not(client, study, facet):
    query = {"job_id": study, "y": "accuracy", "facet": facet}
    shared, free = (ask(client, "tradeoff", **query, ranges=r)["figure"]["layout"] for r in ("shared", "free"))
    if "xaxis2" in shared:
        assert shared["yaxis2"]["matches"] == "y"
        assert "matches" not in free["yaxis2"]


def test_colour_size_and_fixed_ranges(client, study):
    query = {"job_id": study, "x": "loss", "y": "accuracy", "color": "loss_gap", "size": "epsilon"}
    figure = ask(client, "tradeoff", **query, y_min=0.8, y_max=0.83, x_log=True)
    layout = figure["figure"]["layout"]
    assert layout["yaxis"]["range"] == [0.8, 0.83]
    assert layout["xaxis"]["type"] == "log"
    assert all("coloraxis" in t["marker"] and t["meta"]["settings"] for t in figure["figure"]["data"])
    assert client.get("/api/figures/tradeoff", params={**query, "color": "nope"}).status_code == 422
    assert client.get("/api/figures/tradeoff", params={**query, "y_min": 2, "y_max": 1}).status_code == 422


@pytest.mark.parametrize("name", ["parallel", "subgroups", "tradeoff"])
def test_the_file_has_the_rows_of_the_table(client, study, name):
    figure = ask(client, name, job_id=study)
    answer = client.get(f"/api/figures/{name}", params={"job_id": study, "format": "csv"})
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert len(rows) - 1 == len(figure["rows"]) > 0
    assert [len(row) for row in rows] == [len(figure["columns"])] * len(rows)


@pytest.mark.parametrize("name", ["parallel", "intersections", "audit"])
def test_new_figures_say_what_is_missing(client, name):
    job = client.post("/api/jobs", json=synthetic.spec()).json()["id"]
    assert ask(client, name, job_id=job)["empty"]
