"""One trial: from an order to a trained network, its curve, its scores and its files.

Shapes in this package: n samples, c classes, d features.
"""
