"""The generator against its reference vectors; its numbers against their distributions."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from worker.training import _streams_numpy, secure, streams
from worker.training.streams import Purpose, Streams, normals, poisson, shared_key, uniforms, words

KEY = shared_key(7)


KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize("source", [streams, _streams_numpy], ids=["compiled", "plain"])
@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers_of_random123(counter, key, answer, source):
    arguments = [np.uint32(int(word, 16)) for word in f"{counter} {key}".split()]
    assert " ".join(f"{int(word):08x}" for word in source.philox4x32(*arguments)) == answer


def test_normals_are_the_transform_of_the_words():
    raw = words(KEY, Purpose.NOISE, 3, 4000).astype(np.float64)
    drawn = normals(KEY, Purpose.NOISE, 3, 4000).astype(np.float64)
    radius = np.sqrt(-2 * np.log((raw[0::2] + 0.5) / 2**32))
    angle = ((raw[1::2] % 2**30) / 2**30 - 0.5 - np.floor(raw[1::2] / 2**30)) * (np.pi / 2)
    assert np.hypot(drawn[0::2], drawn[1::2]) == pytest.approx(radius, rel=3e-6, abs=1e-6)
    assert drawn[0::2] == pytest.approx(radius * np.cos(angle), abs=3e-6)
    assert drawn[1::2] == pytest.approx(radius * np.sin(angle), abs=3e-6)


def test_normals_have_the_moments_and_tails_of_the_normal_distribution():
    count = 20_000_000
    drawn = normals(KEY, Purpose.NOISE, 0, count)
    assert np.isfinite(drawn).all()
    assert abs(drawn.mean(dtype=np.float64)) < 4 / np.sqrt(count)
    assert drawn.var(dtype=np.float64) == pytest.approx(1, abs=4 * np.sqrt(2 / count))
    assert np.mean(drawn.astype(np.float64) ** 4) == pytest.approx(3, abs=4 * np.sqrt(96 / count))
    assert stats.kstest(drawn[:1_000_000], "norm").pvalue > 1e-3
    beyond = int(np.sum(np.abs(drawn) > 5))
    assert stats.binomtest(beyond, count, 2 * stats.norm.sf(5)).pvalue > 1e-3


def test_uniforms_stay_inside_the_open_interval():
    drawn = uniforms(KEY, Purpose.WEIGHTS, 0, 1_000_001)
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3


def test_draws_of_different_keys_purposes_and_steps_do_not_correlate():
    count = 100_000
    draws = [
        normals(key, purpose, step, count)
        for key in (KEY, shared_key(8), streams.own_key("a"), streams.own_key("b"))
        for purpose in (Purpose.NOISE, Purpose.STATISTIC_NOISE)
        for step in (0, 1, 2)
    ]
    correlation = np.corrcoef(np.stack(draws)) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5 / np.sqrt(count)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 2**31))
def test_a_draw_does_not_depend_on_how_much_is_drawn(short, extra, step):
    for draw in (normals, uniforms, words):
        longer = draw(KEY, Purpose.NOISE, step, short + extra)
        assert np.array_equal(draw(KEY, Purpose.NOISE, step, short), longer[:short])


def test_poisson_batches_have_binomial_sizes_and_equal_inclusion():
    rows, rate, steps = 500, 0.05, 6000
    included = np.zeros(rows)
    pairs = 0
    sizes = []
    for step in range(steps):
        batch = poisson(KEY, Purpose.MASK, step, rows, rate)
        assert np.all(np.diff(batch) > 0)
        included[batch] += 1
        pairs += int(np.isin([0, 1], batch).all())
        sizes.append(len(batch))
    assert stats.chisquare(included, np.full(rows, included.mean())).pvalue > 1e-3
    assert stats.binomtest(int(included.sum()), rows * steps, rate).pvalue > 1e-3
    assert np.var(sizes) == pytest.approx(rows * rate * (1 - rate), rel=5 * np.sqrt(2 / steps))
    assert stats.binomtest(pairs, steps, rate**2).pvalue > 1e-3, "neighbours are drawn independently"


def test_poisson_batches_may_be_empty_and_may_be_everything():
    sizes = {len(poisson(KEY, Purpose.MASK, step, 10, 0.05)) for step in range(200)}
    assert 0 in sizes
    assert np.array_equal(poisson(KEY, Purpose.MASK, 0, 10, 1.0), np.arange(10))
    assert len(poisson(KEY, Purpose.MASK, 0, 0, 0.5)) == 0
    near_one = [len(poisson(KEY, Purpose.MASK, step, 100, 0.999)) for step in range(50)]
    assert max(near_one) == 100


@pytest.mark.parametrize("rate", [0, -0.1, 1.1])
def test_a_sampling_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match="Expected 0 < rate <= 1"):
        poisson(KEY, Purpose.MASK, 0, 10, rate)


def test_runs_of_a_seed_share_batches_and_never_noise():
    one, other = Streams.of(3, "one"), Streams.of(3, "other")
    assert np.array_equal(one.batch(5, 1000, 0.1), other.batch(5, 1000, 0.1))
    assert np.array_equal(one.initial_uniforms(0, 9), other.initial_uniforms(0, 9))
    assert not np.any(one.noise(5, 1000) == other.noise(5, 1000))
    assert one.statistic_noise(5) != other.statistic_noise(5)
    assert not np.array_equal(one.batch(5, 1000, 0.1), Streams.of(4, "one").batch(5, 1000, 0.1))


words32 = st.integers(0, 2**32 - 1)


@settings(max_examples=100, deadline=None)
@given(st.tuples(words32, words32), words32, st.integers(0, 4000), st.floats(-6, -1e-4), st.integers(0, 4000))
def test_draws_without_a_compiler_are_the_same(key, step, count, log_rate, rows):
    def draw(source, name, kind, size, *arguments):
        out = np.full(size, 77, kind)
        taken = getattr(source, name)(out, *arguments, *(np.uint32(number) for number in (*key, Purpose.NOISE, step)))
        return out if taken is None else out[:taken]

    draws = [
        ("_fill_words", np.uint32, count),
        ("_fill_uniforms", np.float64, count),
        ("_fill_poisson", np.int64, rows, rows, float(np.log1p(-(10.0**log_rate)))),
    ]
    for name, *arguments in draws:
        compiled, plain = (draw(source, name, *arguments) for source in (streams, _streams_numpy))
        assert np.array_equal(compiled, plain)
    compiled, plain = (draw(source, "_fill_normals", np.float32, count) for source in (streams, _streams_numpy))
    np.testing.assert_allclose(plain, compiled, rtol=0, atol=1e-6)


def test_secure_normals_without_a_compiler_are_the_same_function_of_the_random_bytes():
    drawn = np.random.default_rng(0).integers(0, 2**64, 4000, dtype=np.uint64)
    compiled, plain = np.empty(1000, np.float32), np.empty(1000, np.float32)
    secure._sum_normals(compiled, drawn)
    _streams_numpy._sum_normals(plain, drawn)
    np.testing.assert_allclose(plain, compiled, rtol=1e-6, atol=1e-6)


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
from tests.worker.test_streams import some_draws
from worker.training.secure import HAS_NUMBA
import numpy as np
assert not HAS_NUMBA
np.savez(sys.argv[1], **some_draws())
"""


def some_draws():
    mine = Streams.of(3, "one")
    return {
        "words": words(KEY, Purpose.SUBSET, 3, 1001),
        "uniforms": mine.initial_uniforms(1, 301),
        "normals": mine.noise(9, 4001),
        "statistic": np.array(mine.statistic_noise(9)),
        "batch": mine.batch(4, 10_000, 0.03),
        "all": mine.batch(4, 10, 1.0),
        "secure": np.array(len(Streams.of(3, "one", secure=True).noise(1, 20_000))),
    }


def test_an_interpreter_without_numba_draws_the_same(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMBA, str(tmp_path / "draws.npz")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plain = np.load(tmp_path / "draws.npz")
    for name, compiled in some_draws().items():
        if name in ("normals", "statistic"):
            np.testing.assert_allclose(plain[name], compiled, rtol=0, atol=1e-6)
        else:
            assert np.array_equal(plain[name], compiled), name
