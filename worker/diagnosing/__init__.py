"""Why a trial's result is as good or as bad as it is: figures and curves in, a verdict with evidence and remedies out.

Pure functions; no torch, no database. Losses are cross entropies in nats, or squared errors where values are learned.
The *baseline* says the commonest class with train's class shares as probabilities, or the mean of the train values; its
loss is what an uninformed answer costs. A *skill* is the share of that loss which a model saves: 0 is uninformed, 1 is
perfect (of classes McFadden 1974, pseudo R squared; of values the coefficient of determination). Accuracies are None
where values are learned, and everything then rests on losses.
"""
