"""Examples for the API's documentation; each can be posted as it is where its plugins exist."""

from __future__ import annotations

from fastapi.openapi.models import Example

SPECS: dict[str, Example] = {
    "small": {
        "summary": "Two methods, two budgets, three seeds",
        "value": {
            "name": "What does ε cost women?",
            "dataset": {"name": "adult", "subgroups": ["sex"]},
            "model": {"name": "mlp"},
            "methods": [{"name": "sgd"}, {"name": "dp_sgd", "params": {"epsilon": [1, 4]}}],
            "seeds": 3,
        },
    },
    "sweep": {
        "summary": "Sweeps, intersections, an override and chosen seeds",
        "value": {
            "name": "Clipping threshold and learning rate",
            "dataset": {"name": "adult", "subgroups": ["sex", "race", ["sex", "race"]]},
            "model": {"name": "mlp", "params": {"hidden": [64]}},
            "methods": [
                {"name": "sgd", "training": {"learning_rate": 0.1}},
                {"name": "dp_sgd", "params": {"epsilon": [1, 2, 4, 8], "clip": [0.5, 1]}},
            ],
            "training": {"epochs": 10, "batch_size": 256, "learning_rate": [0.1, 0.3]},
            "seeds": [0, 1, 2, 3, 4, 5],
            "tags": ["thresholds"],
        },
    },
}
