"""What is asked for before attacks with shadow models and audits is at least what they take."""

import tracemalloc

import numpy as np
import pytest

from worker.attacks._target import Shadows, Target
from worker.measure import CLASSES_SCORE_BYTES, SCORE_BYTES
from worker.metrics._predictions import Groups
from worker.registry import registry
from worker.training.losses import per_record_numpy

ATTACKS = [f.plugin for f in registry().all("attack") if f.plugin.models_param and not f.plugin.facts().audit]


def target(rows, models, outputs, population=None):
    random = np.random.default_rng(0)
    logits = random.normal(size=(1, rows, outputs)).astype(np.float32)
    labels = random.integers(0, outputs, rows)
    seen = Shadows(random.normal(size=(models, rows, outputs)).astype(np.float32), random.random((models, rows)) < 0.6)
    groups = Groups(("all",), np.ones((1, rows), bool), {})
    task = "binary" if outputs == 2 else "multiclass"
    losses = per_record_numpy(logits, labels, task)
    return Target(logits, labels, losses, np.arange(rows) < rows // 2, groups, task, seen, population)


@pytest.mark.parametrize("outputs", [2, 3, 10])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_scoring_takes_no_more_than_is_asked_for(attack, outputs):
    rows, models = 5000, 32
    seen = target(rows * 4 // 5, models, outputs, target(rows // 5, models, outputs))
    params = attack.Params(**{attack.models_param: models})
    attack.score(seen, params)
    tracemalloc.start()
    attack.score(seen, params)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= models * rows * outputs * (SCORE_BYTES if outputs <= 2 else CLASSES_SCORE_BYTES)
