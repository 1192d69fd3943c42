"""Trained networks as files for other runtimes: one traced graph, written as ONNX or as PyTorch's own archive.

Shapes in this package: n images, c classes, s pixels a side.
"""
