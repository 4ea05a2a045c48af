"""Families of metrics: one file each, found by scanning."""
