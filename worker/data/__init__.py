"""Samples of a dataset: reading, dealing; images decoded, augmented, batched, and features that are computed once.

Shapes in this package: n samples, s pixels a side, d features, c classes.
"""
