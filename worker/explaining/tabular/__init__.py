"""Why a trained table answered what it did for a row: attributions of the user's own columns.

Shapes: n rows, p columns of the user, d encoded columns, c outputs (1 for regression), b background rows, m masks
(coalitions), q players: the columns of one row that differ from the background at all.

Hiding a column means giving it the background's values, row by row, and taking the mean of the answers: the
interventional value function (Janzing et al. 2020). A column is hidden with all that it is encoded into, so that a
category is one player and not as many as it has values.
"""
