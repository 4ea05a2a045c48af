"""An attempt trains shadow models before the runs that need them, once, and writes nothing of them."""

from backend.contracts.runs import RunConfig
from tests.backend import attempts
from worker.execute import Attempt
from worker.shadows import FIRST_SEED


class Kept:
    """Each run needs two shadows; one of all fails."""

    def __init__(self):
        self.told = []

    def stages(self, configs):
        setting = configs[0].setting
        pairs = [[RunConfig(setting=setting, seed=FIRST_SEED + 2 * n + k) for k in (0, 1)] for n in range(len(configs))]
        return [(shadows, [config]) for shadows, config in zip(pairs, configs, strict=True)]

    def failed(self, config, message):
        self.told.append((config.seed - FIRST_SEED, message))


def test_shadows_come_before_their_runs_and_leave_no_results(database, tmp_path):
    job = attempts.submit(database, tmp_path, count=2, broken=[FIRST_SEED + 1])
    kept = Kept()
    attempt = Attempt(database, job, attempts.claim(database, job), attempts.pool(), attempts.plan, shadows=kept)
    assert attempt.run() == "succeeded"
    assert attempts.statuses(database, job) == ["succeeded", "succeeded"]
    assert [number for number, _ in kept.told] == [1], "a run does without a shadow that failed"
    marks = {seed: (tmp_path / f"{seed}").stat().st_mtime_ns for seed in (0, 1, *range(FIRST_SEED, FIRST_SEED + 4))}
    assert max(marks[FIRST_SEED], marks[FIRST_SEED + 1]) <= marks[0] <= marks[FIRST_SEED + 2] <= marks[1]
    assert all(attempts.begun(tmp_path, seed) == 1 for seed in marks)
