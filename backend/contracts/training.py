"""Training parameters that every method shares; published in the catalogue beside the plugins' own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic.fields import FieldInfo

from backend.contracts.base import Contract


def param(
    default: Any,
    title: str,
    help: str,
    *,
    unit: str | None = None,
    sweepable: bool = False,
    advanced: bool = False,
    log: bool = False,
    refers_to: Literal["attribute", "bounds"] | None = None,
    **constraints: Any,
) -> Any:
    """A parameter of a plugin: pydantic constraints plus what a form needs.

    `unit` is shown beside the field, `sweepable` allows a list of values, `advanced` folds it away, `log` asks for
    a logarithmic axis. `refers_to` says that the value refers to the chosen dataset: an `attribute` names one of its
    sensitive attributes, the form offers those that there are, and a submission that names another is refused; a number
    within `bounds` is in the units of its features and refused where it is more than their whole range, unless the
    plugin has a `norm` that is not linf.
    All of it reaches the browser in the JSON Schema of the catalogue.
    """
    extra: dict[str, Any] = {"sweepable": sweepable, "advanced": advanced, "log": log}
    if unit is not None:
        extra["unit"] = unit
    if refers_to is not None:
        extra["refers_to"] = refers_to
    field: FieldInfo = Field(default, title=title, description=help, json_schema_extra=extra, **constraints)
    return field


class Training(Contract):
    """How long and how a model is trained. One set for the job; a method may override any of it."""

    epochs: int = param(
        10, "Epochs", "Expected passes over the training rows.", unit="epochs", ge=1, le=1000, sweepable=True
    )
    batch_size: int = param(
        256,
        "Expected batch size",
        "Each training row joins a batch independently (Poisson sampling); this is the expected number that do.",
        unit="rows",
        ge=1,
        le=1_000_000,
        sweepable=True,
    )
    learning_rate: float = param(
        0.1, "Learning rate", "Step size of the optimizer.", gt=0, le=100, sweepable=True, log=True
    )
    optimizer: Literal["sgd", "adam", "adamw"] = param(
        "sgd",
        "Optimizer",
        "Plain or momentum SGD, Adam (Kingma & Ba 2015), or AdamW, whose weight decay is decoupled from the gradient "
        "(Loshchilov & Hutter 2019).",
        sweepable=True,
    )
    momentum: float = param(
        0.0, "Momentum", "Of SGD; Adam and AdamW ignore it.", ge=0, lt=1, sweepable=True, advanced=True
    )
    weight_decay: float = param(
        0.0,
        "Weight decay",
        "L2 penalty added to the gradient after clipping and noise; AdamW shrinks the weights instead.",
        ge=0,
        le=10,
        sweepable=True,
        advanced=True,
    )
    schedule: Literal["constant", "linear", "cosine", "step"] = param(
        "constant",
        "Learning rate schedule",
        "How the learning rate goes on after the warm-up: constant, linearly or along a half cosine to zero, or to a "
        "tenth after half of the steps and to a hundredth after three quarters.",
        sweepable=True,
        advanced=True,
    )
    warmup: float = param(
        0.0,
        "Warm-up",
        "Share of the steps during which the learning rate rises linearly to its full value.",
        unit="share of steps",
        ge=0,
        le=0.9,
        sweepable=True,
        advanced=True,
    )
    noise_source: Literal["keyed", "system"] = param(
        "keyed",
        "Source of the noise",
        "keyed: a generator keyed by the run's configuration, so that the run can be repeated bit for bit, by anybody "
        "who knows that configuration. system: the operating system's secure source, for a model that is released; "
        "slower, and never the same twice.",
        advanced=True,
    )
