"""Automatic clipping: every gradient is normalised, so that there is no threshold to choose (Bu et al. 2023)."""

from __future__ import annotations

from worker.methods._arrays import Array
from worker.methods._private import PrivateParams
from worker.plugins import Method, State, param

#: A norm counts as at least this. The squares of a gradient's smallest numbers vanish in float32, so that a norm may
#: read 0 where the gradient is not; it is then shorter than 1e-15 for a million weights, and must not be blown up to R.
SMALLEST = 1e-12


class AutomaticClippingParams(PrivateParams):
    """Budget, the length to which gradients are brought, and the stabiliser."""

    stabiliser: float = param(
        0.01,
        "Stabiliser",
        "Added to the norm in the denominator, so that short gradients stay shorter than long ones. "
        "0 brings every gradient to the same length.",
        unit="gradient norm",
        ge=0,
        le=1e4,
        sweepable=True,
    )
    length: float = param(
        1.0,
        "Gradient length",
        "Length that long gradients are brought to. It scales signal and noise alike: a different learning rate does "
        "the same in SGD, and Adam does not see it but for weight decay.",
        unit="gradient norm",
        ge=1e-6,
        le=1e4,
        sweepable=True,
        log=True,
        advanced=True,
    )


class AutomaticClipping(Method[AutomaticClippingParams]):
    """g -> R g / (|g| + gamma) (Bu et al. 2023): AUTO-S for gamma > 0, AUTO-V for gamma = 0.

    Sensitivity. x / (x + gamma) <= 1 for x >= 0 and gamma >= 0, so a scaled gradient has norm at most R: adding or
    removing one record moves the sum by at most R, and the accounting is that of DP-SGD at threshold R. Nothing else
    is released. The paper takes R = 1 and leaves the rest to the learning rate, as the default here does.

    Compared with the authors' code (github.com/awslabs/fast-differential-privacy, `clipping_fn="automatic"`), which
    computes the same factor with R = 1 and gamma = 0.01 and adds noise of sigma R. A floor for the norm is ours.

    Norms below `SMALLEST` count as that, which makes the scaled norm smaller and never larger: a gradient of 0 stays 0.
    """

    name = "automatic_clipping"
    title = "Automatic clipping"
    summary = "DP-SGD that brings every gradient to nearly the same length, without a clipping threshold to tune."
    citation = "Bu et al. 2023, Automatic clipping, arXiv:2206.07136"
    private = True
    Params = AutomaticClippingParams

    def scale(self, norms: Array, state: State, params: AutomaticClippingParams) -> Array:
        """R / (norm + gamma), `[..., records]`: above 1 where a gradient is shorter than R - gamma."""
        return params.length / (norms.clip(SMALLEST) + params.stabiliser)

    def sensitivity(self, state: State, params: AutomaticClippingParams) -> Array:
        """R."""
        return params.length


PLUGIN = AutomaticClipping()
