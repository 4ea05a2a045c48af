"""Learning rates against torch's schedulers; noise of the operating system against its distribution."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from backend.contracts.training import Training
from worker.training.schedules import learning_rate
from worker.training.secure import secure_normals
from worker.training.streams import Streams


def torch_rates(steps, make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = make(optimizer)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return rates


def ours(steps, **training):
    return [learning_rate(Training(learning_rate=0.3, **training), step, steps) for step in range(steps)]


@pytest.mark.parametrize("steps", [1, 2, 40, 101])
def test_rates_are_those_of_torch(steps):
    schedulers = torch.optim.lr_scheduler
    assert ours(steps) == [0.3] * steps
    cosine = torch_rates(steps, lambda o: schedulers.CosineAnnealingLR(o, T_max=steps))
    assert ours(steps, schedule="cosine") == pytest.approx(cosine, abs=1e-9)
    linear = torch_rates(steps, lambda o: schedulers.LinearLR(o, 1.0, 0.0, total_iters=steps))
    assert ours(steps, schedule="linear") == pytest.approx(linear, abs=1e-9)


def test_steps_fall_after_a_half_and_three_quarters():
    reference = torch_rates(40, lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [20, 30]))
    assert ours(40, schedule="step") == pytest.approx(reference)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 500), st.floats(0, 0.9), st.sampled_from(["constant", "linear", "cosine", "step"]))
def test_warm_up_rises_to_the_rate_and_nothing_exceeds_it(steps, warmup, schedule):
    rates = ours(steps, warmup=warmup, schedule=schedule)
    warm = int(warmup * steps)
    assert all(0 < rate <= 0.3 + 1e-12 for rate in rates)
    assert rates[:warm] == pytest.approx([0.3 * (i + 1) / warm for i in range(warm)])
    after = rates[warm:]
    assert after == sorted(after, reverse=True)
    assert rates[max(0, warm - 1)] == pytest.approx(0.3)


def test_noise_of_the_operating_system_is_standard_normal_and_new_each_time():
    drawn = secure_normals(400_001)
    assert drawn.dtype == np.float32
    assert stats.kstest(drawn, "norm").pvalue > 1e-4
    for power, expected in ((2, 1), (4, 3), (6, 15)):
        assert np.mean(drawn.astype(np.float64) ** power) == pytest.approx(expected, rel=0.02 * power)
    assert np.abs(drawn).max() > 4
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.01
    assert not np.any(secure_normals(50) == secure_normals(50))


def test_a_run_says_where_its_noise_comes_from():
    keyed, secure = Streams.of(1, "run"), Streams.of(1, "run", secure=True)
    assert np.array_equal(keyed.noise(3, 100), keyed.noise(3, 100))
    assert not np.array_equal(secure.noise(3, 100), secure.noise(3, 100))
    assert secure.statistic_noise(3) != secure.statistic_noise(3)
    assert np.array_equal(keyed.batch(3, 1000, 0.1), secure.batch(3, 1000, 0.1))
