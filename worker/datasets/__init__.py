"""Datasets: one file each, found by scanning."""
