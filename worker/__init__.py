"""Equipoise's worker: trains, evaluates and attacks. It stands on backend.contracts, .store and .queue."""
