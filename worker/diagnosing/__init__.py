"""Why a trial's result is as good or as bad as it is: figures and curves in, a verdict with evidence and remedies out.

Pure functions; no torch, no database. Losses are cross entropies in nats. The *baseline* says the commonest class
with train's class shares as probabilities; its loss is what an uninformed answer costs. A *skill* is the share of
that loss which a network saves: 0 is uninformed, 1 is perfect (McFadden 1974, pseudo R squared).
"""
