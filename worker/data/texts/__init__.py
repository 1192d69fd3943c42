"""Texts of a dataset: validation, warnings, the canonical samples, and their tokens."""
