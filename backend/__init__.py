"""Equipoise's backend: contracts, store, queue, analysis, figures and the API. It never imports torch."""

__version__ = "0.1.0"
