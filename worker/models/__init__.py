"""Architectures: one file each, found by scanning."""
