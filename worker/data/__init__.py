"""Images of a dataset: dealing, decoding, augmenting, batching, and features that are computed once.

Shapes in this package: n images, s pixels a side, d features, c classes.
"""
