"""An attempt trains shadow models before the runs that need them, once, and writes nothing of them."""

import os
import signal
import threading
import time

from sqlalchemy import select

from backend.contracts.runs import RunConfig
from backend.store.tables import JobEventRow
from tests.backend import attempts
from worker import execute
from worker.execute import Attempt
from worker.shadows import FIRST_SEED


class Kept:
    """Each run needs two shadows; one of all fails. Each run has audits that take as many trainings as it says."""

    def __init__(self, audits=0):
        self.told = []
        self._audits = audits

    def audits(self, config):
        return self._audits

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


class Folder(Kept):
    """What a worker does: four shadows for all runs; one whose file is there is not asked for again."""

    def __init__(self, marks, audits=0):
        super().__init__(audits)
        self.marks = marks

    def stages(self, configs):
        shadows = [RunConfig(setting=configs[0].setting, seed=FIRST_SEED + n) for n in range(4)]
        return [([one for one in shadows if not (self.marks / f"{one.seed}").exists()], list(configs))]


def messages(database, job):
    with database.read() as session:
        rows = session.scalars(select(JobEventRow).where(JobEventRow.job_id == job).order_by(JobEventRow.id))
        return [row.data["message"] for row in rows if row.type == "progress"]


def test_progress_counts_shadows_and_mentions_audits(database, tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "PROGRESS_SECONDS", 0.0)
    job = attempts.submit(database, tmp_path, count=2, fleet=2, seconds=0.05, done_before_end=True)
    kept = Folder(tmp_path, audits=3)
    attempt = Attempt(database, job, attempts.claim(database, job), attempts.pool(1), attempts.plan, shadows=kept)
    assert attempt.run() == "succeeded"
    said = messages(database, job)
    shadows = [one for one in said if one.startswith("Training shadow models")]
    assert [one.partition(",")[0] for one in dict.fromkeys(shadows)][:1] == ["Training shadow models 1 of 4"]
    assert any(one.startswith("Training shadow models 4 of 4, about ") for one in shadows)
    assert any(one.startswith("Training 1 of 2, auditing 1") for one in said)
    assert said.index(shadows[-1]) < next(i for i, one in enumerate(said) if one.startswith("Training 1 of 2"))


def test_time_left_counts_shadows_runs_and_audits():
    attempt = Attempt(None, "job", 1, attempts.pool(), shadows=Kept(audits=3))
    attempt._costs = {"a": 4, "b": 4}
    attempt._since, attempt._ended, attempt._ahead = time.monotonic() - 10, 0, 2 + 8
    assert attempt._seconds_left() is None, "nothing has ended"
    attempt._over("shadow 0")
    attempt._over("shadow 1")
    assert round(attempt._seconds_left()) == 40, "two took ten seconds, eight are ahead"
    attempt._shares["a"] = 0.5
    assert round(attempt._seconds_left()) == 30, "half of one is done: 10 / 2.5 * 7.5"
    attempt._over("a")
    assert (attempt._ended, attempt._ahead, attempt._shares) == (6, 4, {})
    attempt._over("b")
    assert attempt._seconds_left() is None


def test_the_share_done_counts_shadows_runs_and_audits():
    attempt = Attempt(None, "job", 1, attempts.pool(), shadows=Kept(audits=3))
    assert attempt._share() is None, "nothing was claimed yet"
    attempt._costs = {"a": 4, "b": 4}
    attempt._before, attempt._ended, attempt._ahead = 5, 0, 2 + 8
    assert attempt._share() == 5 / 15
    attempt._shares["shadow 0"] = 0.5
    assert attempt._share() == 5.5 / 15
    attempt._over("shadow 0")
    attempt._over("shadow 1")
    attempt._shares["a"] = 1.0
    assert attempt._share() == 8 / 15, "its own training alone, none of its audits yet"
    attempt._over("a")
    attempt._over("b")
    assert attempt._share() == 1


def test_an_attempt_killed_while_it_trains_shadows_goes_on_with_the_rest(database, tmp_path):
    """SIGKILL of the attempt's whole process group; the next attempt trains what is missing, and each run once."""
    job = attempts.submit(database, tmp_path, count=2, held=[FIRST_SEED + 2])
    (tmp_path / "hold").touch()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        database.dispose()
        again = type(database)(database.engine.url.render_as_string(hide_password=False))
        kept = Folder(tmp_path)
        Attempt(again, job, attempts.claim(again, job), attempts.pool(1), attempts.plan, shadows=kept).run()
        os._exit(0)
    wait_until(lambda: attempts.begun(tmp_path, FIRST_SEED + 2) == 1)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    (tmp_path / "hold").unlink()
    (tmp_path / f"{FIRST_SEED + 2}").unlink()  # it was not kept
    assert not {"succeeded", "failed"} & set(attempts.statuses(database, job))
    kept = Folder(tmp_path)
    attempt = Attempt(database, job, attempts.claim(database, job), attempts.pool(1), attempts.plan, shadows=kept)
    assert attempt.run() == "succeeded"
    assert attempts.statuses(database, job) == ["succeeded", "succeeded"]
    assert {attempts.begun(tmp_path, seed) for seed in (0, 1, *range(FIRST_SEED, FIRST_SEED + 4))} == {1}


def test_an_attempt_whose_job_went_to_another_stops_while_it_trains_shadows(database, tmp_path):
    job = attempts.submit(database, tmp_path, count=1, held=[FIRST_SEED])
    (tmp_path / "hold").touch()
    attempt = Attempt(
        database, job, attempts.claim(database, job), attempts.pool(1), attempts.plan, shadows=Folder(tmp_path)
    )
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(attempt.run()))
    thread.start()
    wait_until(lambda: attempts.begun(tmp_path, FIRST_SEED) == 1)
    attempts.claim(database, job)
    thread.join(30)
    assert outcome == [None]
    assert attempts.begun(tmp_path, 0) == 0, "no run was begun"


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
