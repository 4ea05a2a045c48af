"""The promise of every private method, searched for a counterexample; and that one file serves every engine."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from backend.contracts.training import Training
from worker.registry import registry

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")

METHODS = [found.plugin for found in registry().all("method")]
PRIVATE = [method for method in METHODS if method.private]
each = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
each_private = pytest.mark.parametrize("method", PRIVATE, ids=lambda m: m.name)

#: From nothing, over numbers that have few digits left, to the largest root of a sum of squares in float32. A longer
#: gradient has an infinite norm, see `test_an_infinite_norm_is_scaled_to_nothing`.
LARGEST = float(np.float32(1.8e19))
NORMS = st.one_of(
    st.sampled_from([0.0, 1e-45, 1e-38, 1e-30, 1e-12, 1e-6, 1.0, 1e6, LARGEST]),
    st.floats(0, LARGEST, width=32),
    st.floats(0, 10, width=32),
    st.floats(-38, 19).map(lambda e: float(np.float32(10.0**e))),
)
NORM_ARRAYS = arrays.arrays(np.float32, st.integers(1, 12), elements=NORMS)


@st.composite
def valid_params(draw, method):
    """Parameters drawn from their JSON Schema: numbers at and within their ends, choices, flags."""
    values = {}
    for name, field in method.Params.model_json_schema().get("properties", {}).items():
        options = field.get("anyOf", [field])
        kind = next(o for o in options if o.get("type") != "null")
        if "enum" in kind:
            values[name] = draw(st.sampled_from(kind["enum"]))
        elif kind.get("type") == "boolean":
            values[name] = draw(st.booleans())
        elif kind.get("type") == "number" and name not in {"epsilon", "delta"}:
            low = kind.get("minimum", kind.get("exclusiveMinimum", -1e6))
            high = kind.get("maximum", kind.get("exclusiveMaximum", 1e6))
            inside = st.floats(
                low, high, exclude_min="exclusiveMinimum" in kind, exclude_max="exclusiveMaximum" in kind
            )
            values[name] = draw(st.one_of(inside, st.just(field["default"])))
    try:
        return method.Params(**values)
    except ValidationError:
        return method.Params()


@st.composite
def states(draw, method, params):
    """A state that training can reach: the first, then updates with any noisy share."""
    state = method.start(params)
    asks = method.statistic(np.zeros(1, np.float32), state, params) is not None
    for share in draw(st.lists(st.floats(-50, 50), max_size=6)):
        state = method.update(state, share if asks else None, params)
    return state


@each_private
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_norm_exceeds_the_stated_sensitivity(method, data):
    params = data.draw(valid_params(method))
    state = data.draw(states(method, params))
    norms = data.draw(NORM_ARRAYS)
    sensitivity = float(method.sensitivity(state, params))
    assert 0 < sensitivity < np.inf
    for values in (norms, torch.from_numpy(norms), norms.astype(np.float64)):
        scale = np.asarray(method.scale(values, state, params), dtype=np.float64)
        assert np.all(np.isfinite(scale))
        assert np.all(scale >= 0)
        assert np.all(scale * norms.astype(np.float64) <= sensitivity * (1 + 1e-6))


@each_private
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_an_infinite_norm_is_scaled_to_nothing(method, data):
    params = data.draw(valid_params(method))
    state = data.draw(states(method, params))
    norms = np.array([1.0, np.inf], np.float32)
    for values in (norms, torch.from_numpy(norms)):
        scale = np.asarray(method.scale(values, state, params))
        assert np.isfinite(scale[0])
        assert scale[1] == 0


@each_private
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_record_is_scaled_by_its_own_norm_alone(method, data):
    params = data.draw(valid_params(method))
    state = data.draw(states(method, params))
    norms = data.draw(NORM_ARRAYS)
    together = method.scale(norms, state, params)
    alone = [method.scale(norms[i : i + 1], state, params)[0] for i in range(len(norms))]
    assert np.allclose(together, alone, rtol=1e-6, atol=0)


@each_private
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_statistic_is_bounded_as_its_accounting_assumes(method, data):
    params = data.draw(valid_params(method))
    state = data.draw(states(method, params))
    norms = data.draw(NORM_ARRAYS)
    mechanism = method.mechanism(params, Training())
    statistic = method.statistic(norms, state, params)
    assert (statistic is None) == (mechanism.statistic_std is None)
    if statistic is not None:
        assert mechanism.statistic_std > 0
        assert np.all(np.abs(np.asarray(statistic, dtype=np.float64) - 0.5) <= mechanism.statistic_sensitivity)


@each
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_numpy_and_torch_agree_for_one_run_and_for_many(method, data):
    params = data.draw(valid_params(method))
    runs = data.draw(st.integers(1, 4))
    norms = data.draw(arrays.arrays(np.float32, (runs, 5), elements=NORMS))
    shares = data.draw(arrays.arrays(np.float64, (runs, 1), elements=st.floats(-2, 3)))
    single = [method.start(params) for _ in range(runs)]
    stacked = {name: np.full((runs, 1), value) for name, value in method.start(params).items()}
    tensors = {name: torch.from_numpy(value.copy()) for name, value in stacked.items()}
    for _ in range(2):
        asks = method.statistic(norms, stacked, params) is not None
        scales = np.asarray(method.scale(norms.astype(np.float64), stacked, params))
        from_torch = method.scale(torch.from_numpy(norms.astype(np.float64)), tensors, params)
        assert from_torch.numpy() == pytest.approx(scales, rel=1e-6, nan_ok=True)
        for run in range(runs):
            alone = np.asarray(method.scale(norms[run].astype(np.float64), single[run], params))
            assert alone == pytest.approx(scales[run], rel=1e-6)
            single[run] = method.update(single[run], float(shares[run, 0]) if asks else None, params)
        if asks:
            counted = np.asarray(method.statistic(norms.astype(np.float64), stacked, params))
            tensor = method.statistic(torch.from_numpy(norms.astype(np.float64)), tensors, params)
            assert np.array_equal(tensor.numpy(), counted)
        stacked = method.update(stacked, shares if asks else None, params)
        tensors = method.update(tensors, torch.from_numpy(shares) if asks else None, params)
        for name, value in stacked.items():
            assert tensors[name].numpy() == pytest.approx(value, rel=1e-6)
            assert [float(one[name]) for one in single] == pytest.approx(value[:, 0], rel=1e-6)


@each
def test_its_state_is_its_own(method):
    params = method.Params()
    first = method.start(params)
    before = dict(first)
    asks = method.statistic(np.zeros(1, np.float32), first, params) is not None
    method.update(first, 0.9 if asks else None, params)
    assert first == before, "update returns a new state"
    assert all(np.isfinite(float(v)) for v in method.history(first).values())
