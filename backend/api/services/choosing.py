"""What choosing one run among the trainings of its study at the same budget would cost."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session

from backend.contracts.accounting import SHAPES, Accountant, Choosing, ChosenCost, Distribution
from backend.contracts.catalogue import Catalogue
from backend.contracts.results import Problem
from backend.contracts.runs import Setting
from backend.errors import InvalidRequest
from backend.store import runs, workers
from backend.store.tables import RunRow

#: Distributions of the number of trainings that are shown.
SHOWN: tuple[Distribution, ...] = ("geometric", "logarithmic", "poisson")


def choosing(session: Session, run: RunRow, job_id: str | None, cache_dir: Path) -> Choosing | None:
    """None for a run without privacy. Of the job asked for, or of the run's first.

    Counted are trainings of the same job, on the same table, that claim the same epsilon at the same delta: any of
    them could have been chosen, whatever its method, setting or seed, and choosing among budgets is another question
    than choosing at one. A diverged or failed training counts, since that too depended on the data.

    The random figure rests on the largest Renyi divergence of any of them at each order: which setting is drawn is then
    part of a training, and a mixture diverges by no more than the worst of its parts.
    """
    of_jobs = runs.jobs_of(session, run.id)
    if job_id is not None and job_id not in of_jobs:
        problem = Problem(
            field="job_id", expected="a job that has this run", got=job_id, fix="Leave it out, or name one of its jobs."
        )
        raise InvalidRequest("The run is not part of this job.", problems=[problem])
    own = Setting.model_validate(run.setting.config)
    epsilon = own.epsilon()
    if epsilon is None or not of_jobs:
        return None
    job = job_id or of_jobs[0]
    catalogue = workers.catalogue_of_engine(session, own.engine_version)
    delta = _delta(own, catalogue)
    if delta is None:
        return None
    alike = [
        (setting, count)
        for setting, count in runs.settings_of_budget(session, job, epsilon)
        if setting.dataset == own.dataset and _delta(setting, catalogue) == delta
    ]
    trainings = sum(count for _, count in alike)
    if not trainings:
        return None
    return Choosing(
        job_id=job,
        trainings=trainings,
        settings=len(alike),
        epsilon=epsilon,
        delta=delta,
        all_epsilon=trainings * epsilon,
        all_delta=trainings * delta,
        random=_random([setting for setting, _ in alike], trainings, epsilon, delta, _rows(own, catalogue), cache_dir),
    )


def _random(
    settings: list[Setting], trainings: int, epsilon: float, delta: float, rows: int | None, cache_dir: Path
) -> list[ChosenCost]:
    if rows is None:
        return []
    # Only now: numpy and scipy take a while to load, and the page should not wait for them.
    import numpy as np

    from backend.analysis import accountants, accounting, tuning

    mechanisms: dict[tuple[Accountant, float, int], None] = {}
    for setting in settings:
        accountant: Accountant = setting.method.params.get("accountant", "rdp")  # type: ignore[assignment]  # its schema
        batch, epochs = (int(setting.training[name]) for name in ("batch_size", "epochs"))  # type: ignore[arg-type]
        schedule = accounting.Schedule.of(rows, batch, epochs)
        mechanisms[accountant, schedule.sampling_rate, schedule.steps] = None
    each = []
    for accountant, rate, steps in mechanisms:
        sigma = accountants.sigma(accountant, epsilon, delta, rate, steps, cache_dir=cache_dir)
        each.append(accounting.rdp(sigma, rate, steps))
    worst = np.max(each, axis=0)
    return [
        ChosenCost(
            distribution=name,
            epsilon=accounting.to_epsilon(tuning.selected_rdp(worst, mean=float(trainings), shape=SHAPES[name]), delta),
        )
        for name in SHOWN
    ]


def _rows(setting: Setting, catalogue: Catalogue | None) -> int | None:
    """Training rows of a setting; None where the dataset is not there any more, or does not say."""
    plugin = None if catalogue is None else catalogue.find("dataset", setting.dataset.name)
    return None if plugin is None or plugin.dataset is None else plugin.dataset.train_rows_for(setting.dataset.params)


def _delta(setting: Setting, catalogue: Catalogue | None) -> float | None:
    given = setting.method.params.get("delta")
    if isinstance(given, int | float):
        return float(given)
    rows = _rows(setting, catalogue)
    if rows is None:
        return None
    from backend.analysis.accounting import default_delta

    return default_delta(rows)
