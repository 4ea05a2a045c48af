"""How many rows each part of the data has, by what they are used for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backend.contracts.catalogue import MetricInfo
from backend.contracts.results import ALL
from worker.metrics._predictions import Figure, Groups, Predictions
from worker.plugins import Metric, NoParams


def _info(name: str, title: str, explanation: str) -> MetricInfo:
    return MetricInfo(
        name=name,
        title=title,
        explanation=explanation,
        family="roles",
        higher_is_better=None,
        kind="cost",
        low=0.0,
        unit="rows",
        per_subgroup=False,
    )


class Roles(Metric[NoParams]):
    """No row has two roles: the parts come from one division of the table, by the seed alone.

    Shadow models of an attacker are trained on divisions of their own of the same table, by seeds of their own.
    """

    name = "roles"
    title = "Rows by role"
    summary = "How many rows were trained on, judged, chosen by, and known to a defence."
    Params = NoParams
    metrics = (
        _info("rows_members", "Members", "Rows that the run was trained on: what membership inference is to find."),
        _info("rows_others", "Other candidates", "Test rows: what metrics are measured on, and the rows that attacks "
              "have to tell from members."),
        _info("rows_validation", "Validation rows", "What settings are chosen by, and what attacks take for the "
              "population."),
        _info("rows_inference", "Inference set", "Rows that a defence compares its members with: half of the "
              "validation rows, for methods that ask for them."),
    )  # fmt: skip

    def measure(self, predictions: Predictions, groups: Groups) -> Iterator[Figure]:
        """Figures of the whole run, on the test split alone."""
        if predictions.run is None or predictions.split != "test":
            return
        for metric in self.metrics:
            value = np.asarray(getattr(predictions.run, metric.name), np.float64)
            yield Figure(metric.name, (ALL,), value[..., None])


PLUGIN = Roles()
