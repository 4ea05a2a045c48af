"""Membership-inference attacks: one file each, found by scanning."""
