"""Estimators for tables: from columns to numbers, from numbers to answers.

Shapes: n rows, k columns of the user, d encoded columns, c outputs.
"""
