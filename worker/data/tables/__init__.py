"""Tables of a dataset: reading CSV and Parquet, kinds of columns, targets, warnings, canonical samples.

Shapes in this package: n rows, c classes. Codes are int32 places in a list of distinct texts, -1 where missing.
"""
