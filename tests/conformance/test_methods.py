"""The promise of every private method, searched for a counterexample; and that one file serves every engine."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from backend.contracts.training import Training
from worker.plugins import GROUP
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
WAVES = st.floats(-30, 30)
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


def released(method, state, params, share):
    """What `update` may receive: nothing, a share, or as many noisy sums as the method asks for."""
    statistic = method.statistic(np.zeros(1, np.float32), state, params)
    if statistic is None:
        return None
    return share if statistic.ndim == 1 else share * np.linspace(-20, 30, statistic.shape[-1])


@st.composite
def states(draw, method, params):
    """A state that training can reach: the first, then updates with any noisy share. Codes are of 1 to 4 groups."""
    groups = 0 if method.attribute(params) is None else draw(st.integers(1, 4))
    state = method.start_groups(params, groups) if groups else method.start(params)
    seen = {GROUP: np.zeros(1, np.int64)} if groups else {}
    for share in draw(st.lists(st.floats(-50, 50), max_size=6)):
        state = method.update(state, released(method, {**state, **seen}, params, share), params)
    return state


def shown(state, records):
    """The state with group codes for so many records, where it is one of groups."""
    sizes = [len(value) for value in state.values() if np.ndim(value) == 1]
    return {**state, GROUP: np.arange(records) % sizes[0]} if sizes else state


def in_torch(state):
    return {name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in state.items()}


@each_private
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_norm_exceeds_the_stated_sensitivity(method, data):
    params = data.draw(valid_params(method))
    state = data.draw(states(method, params))
    norms = data.draw(NORM_ARRAYS)
    sensitivity = float(method.sensitivity(state, params))
    assert 0 < sensitivity < np.inf
    state = shown(state, len(norms))
    for values in (norms, torch.from_numpy(norms), norms.astype(np.float64)):
        seen = in_torch(state) if isinstance(values, torch.Tensor) else state
        scale = np.asarray(method.scale(values, seen, params), dtype=np.float64)
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
    state = shown(state, len(norms))
    for values in (norms, torch.from_numpy(norms)):
        seen = in_torch(state) if isinstance(values, torch.Tensor) else state
        scale = np.asarray(method.scale(values, seen, params))
        assert np.isfinite(scale[0])
        assert scale[1] == 0


@each_private
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_record_is_scaled_by_its_own_norm_alone(method, data):
    params = data.draw(valid_params(method))
    state = data.draw(states(method, params))
    norms = data.draw(NORM_ARRAYS)
    state = shown(state, len(norms))
    together = method.scale(norms, state, params)
    each_state = [state if GROUP not in state else {**state, GROUP: state[GROUP][i : i + 1]} for i in range(len(norms))]
    alone = [method.scale(norms[i : i + 1], each_state[i], params)[0] for i in range(len(norms))]
    assert np.allclose(together, alone, rtol=1e-6, atol=0)


@each_private
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_statistic_is_bounded_as_its_accounting_assumes(method, data):
    params = data.draw(valid_params(method))
    state = data.draw(states(method, params))
    norms = data.draw(NORM_ARRAYS)
    mechanism = method.mechanism(params, Training())
    statistic = method.statistic(norms, shown(state, len(norms)), params)
    assert (statistic is None) == (mechanism.statistic_std is None)
    if statistic is not None:
        assert mechanism.statistic_std > 0
        exact = np.asarray(statistic, dtype=np.float64)
        moves = np.abs(exact - 0.5) if exact.ndim == 1 else np.linalg.norm(exact, axis=-1)
        assert moves.shape == norms.shape
        assert np.all(moves <= mechanism.statistic_sensitivity)


@each
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_numpy_and_torch_agree_for_one_run_and_for_many(method, data):
    params = data.draw(valid_params(method))
    if method.attribute(params) is not None:
        return  # its states are compared below
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


@pytest.mark.parametrize("method", [m for m in METHODS if m.attribute(m.Params())], ids=lambda m: m.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_method_of_groups_is_the_same_in_numpy_and_torch_and_alone(method, data):
    params, groups, runs = method.Params(), data.draw(st.integers(1, 4)), 3
    norms = data.draw(arrays.arrays(np.float64, (runs, 5), elements=NORMS))
    codes = data.draw(arrays.arrays(np.int64, (runs, 5), elements=st.integers(0, groups - 1)))
    alone = [method.start_groups(params, groups) for _ in range(runs)]
    for _ in range(2):
        state = {name: np.stack([one[name] for one in alone]) for name in alone[0]}
        seen = {**state, GROUP: codes}
        scale, statistic = method.scale(norms, seen, params), method.statistic(norms, seen, params)
        again = method.scale(torch.from_numpy(norms), in_torch(seen), params).numpy()
        assert again == pytest.approx(scale, rel=1e-6)
        assert np.array_equal(method.statistic(torch.from_numpy(norms), in_torch(seen), params).numpy(), statistic)
        sums = statistic.sum(axis=1) + data.draw(arrays.arrays(np.float64, statistic.shape[::2], elements=WAVES))
        moved = method.update(state, sums, params)
        tensors = method.update(in_torch(state), torch.from_numpy(sums), params)
        for run in range(runs):
            one = {**alone[run], GROUP: codes[run]}
            assert method.scale(norms[run], one, params) == pytest.approx(scale[run], rel=1e-9)
            alone[run] = method.update(alone[run], sums[run], params)
        for name, value in moved.items():
            assert tensors[name].numpy() == pytest.approx(value, rel=1e-6)
            assert np.stack([one[name] for one in alone]) == pytest.approx(value, rel=1e-9)


@each
def test_its_state_is_its_own(method):
    params = method.Params()
    first = method.start(params)
    before = dict(first)
    method.update(first, released(method, first, params, 0.9), params)
    assert first == before, "update returns a new state"
    assert all(np.isfinite(float(v)) for v in method.history(first).values())
