"""Pretrained image networks by catalogue name: where their weights lie, building, cutting, saving.

Shapes in this package: n images, c classes, d features, s pixels a side.
"""
