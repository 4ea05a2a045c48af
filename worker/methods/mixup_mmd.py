"""Mixup with MMD: mixed rows, and posteriors of members that are distributed as those of other rows."""

from __future__ import annotations

import torch
from torch.nn import functional

from worker.plugins import Method, Params, param
from worker.training.losses import per_record
from worker.training.objective import Objective, Step

#: Kernel widths, as multiples of the mean squared distance.
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
#: Of the mean squared distance. Posteriors that are nearly equal, as those of an untrained model are, would otherwise
#: be driven apart by gradients that grow without bound as the distance shrinks, and the model with them.
NARROWEST = 1e-2


class MixupMmdParams(Params):
    """How strong each part is."""

    strength: float = param(
        1.0,
        "MMD strength",
        "Weight of the distance between the posteriors of members and of the inference set.",
        ge=0,
        sweepable=True,
        log=True,
    )
    mixing: float = param(
        1.0,
        "Mixing",
        "Parameter of the Beta distribution of mixing weights; 0 mixes nothing.",
        ge=0,
        le=100,
        sweepable=True,
    )


class _MixedAndMatched(Objective):
    separable = False

    def __init__(self, params: MixupMmdParams) -> None:
        self.params = params

    def losses(self, step: Step) -> torch.Tensor:
        share = 1.0
        if self.params.mixing > 0:
            share = float(torch.distributions.Beta(self.params.mixing, self.params.mixing).sample())
        other = torch.randperm(len(step.target)).to(step.target.device)
        logits = step.module(share * step.features + (1 - share) * step.features[other])
        if step.task == "regression":
            mixed: torch.Tensor = share * step.target + (1 - share) * step.target[other]
            return per_record(logits, mixed, step.task)
        one = functional.cross_entropy(logits, step.target, reduction="none")
        return share * one + (1 - share) * functional.cross_entropy(logits, step.target[other], reduction="none")

    def penalty(self, step: Step) -> torch.Tensor | None:
        if step.task == "regression" or not len(step.target) or not self.params.strength:
            return None
        features, target = step.inference(max(2, len(step.target)))
        members, others = (step.module(rows).softmax(dim=1) for rows in (step.features, features))
        found = [
            mmd(members[step.target == label], others[target == label])
            for label in torch.unique(step.target).tolist()
            if int((target == label).sum()) and int((step.target == label).sum())
        ]
        return self.params.strength * torch.stack(found).mean() if found else None


def mmd(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Squared maximum mean discrepancy (biased, V-statistic) of `[m, k]` and `[n, k]`, a sum of Gaussian kernels.

    Gretton et al. 2012, A kernel two-sample test, JMLR 13, equation 5. Widths are multiples of the mean squared
    distance between all rows, which is not differentiated.
    """
    rows = torch.cat([first, second])
    squares = (rows[:, None] - rows[None]).square().sum(-1)
    width = (squares.detach().sum() / max(1, len(rows) * (len(rows) - 1))).clamp(min=NARROWEST)
    kernel = sum(torch.exp(-squares / (width * factor)) for factor in WIDTHS)
    assert isinstance(kernel, torch.Tensor)
    m = len(first)
    return kernel[:m, :m].mean() + kernel[m:, m:].mean() - 2 * kernel[:m, m:].mean()


class MixupMmd(Method[MixupMmdParams]):
    """Cross-entropy of mixed rows plus strength x the mean over classes of MMD^2 between softmax outputs."""

    name = "mixup_mmd"
    title = "Mixup + MMD"
    summary = "Trains on mixtures of rows and makes members' posteriors look like those of rows beside them, per class."
    citation = "Li, Li and Ribeiro 2021, Membership inference attacks and defenses in classification models, CODASPY"
    needs_inference_set = True
    Params = MixupMmdParams

    def objective(self, params: MixupMmdParams) -> Objective:
        """The two parts."""
        return _MixedAndMatched(params)


PLUGIN = MixupMmd()
