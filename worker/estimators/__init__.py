"""Estimators for tables: from columns to numbers, from numbers to answers.

Shapes: n rows, k columns of the user, d encoded columns, c outputs.

Linear models and trees need no torch: `network` alone imports it, and is imported where an `mlp` is at hand.
"""
