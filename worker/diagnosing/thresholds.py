"""Where a measure changes its meaning, each with its source. "Ours" marks what no source fixes."""

OVERFIT_RATIO = 0.1
"""Validation loss above train loss, as a share of train loss. SageMaker Debugger, rule Overfit, `ratio_threshold`."""

OVERFIT_SHARE = 0.05
"""The same gap as a share of the baseline's loss. Ours: the ratio alone calls 0.02 against 0.01 nats overfitting."""

NOISE = 2.0
"""Standard errors that a difference must exceed; about 95 % of normal noise stays below."""

LEAK_NOISE = 4.0
"""Standard errors by which validation errors of values must lie below others before chance is ruled out: residuals have
heavier tails than the standard error assumes. Ours."""

RISE_AFTER_BEST = 0.1
"""Last validation loss above the best one, as a share of it: the generalisation loss of Prechelt 1998 ("Early
stopping - but when?", there 1 to 5 % to stop; twice that to blame)."""

RISE_TRAIN_FALL = 0.2
"""How far the train loss must have fallen on meanwhile: both together are what the Google ML crash course
("Overfitting: interpreting loss curves") and Goodfellow et al. 2016 (section 7.8, fig. 7.3) call overfitting. The
number is ours."""

WEAK_SKILL = 0.5
"""A validation skill below which overfitting after the best epoch is what limited the result. Ours."""

UNDERFIT_SKILL = 0.6
"""A train skill below which the network has not fitted its own train split: "not able to obtain a sufficiently low
error value on the training set" (Goodfellow et al. 2016, section 5.2). The number is ours."""

FITTED_SKILL = 0.8
"""A train skill from which there is little left to fit on train. Ours."""

GOOD_SKILL = 0.9
"""A validation skill from which neither a fall nor a swing of the curve is a complaint. Ours."""

STILL_FALLING = 0.1
"""Fall of the best validation loss over the last third of the epochs, as a share of it. A curve that approaches its
limit exponentially falls this much at four time constants when the limit is a third of the start; SageMaker Debugger
(LossNotDecreasing, `diff_percent` 0.1 over 10 steps; Overtraining, `delta` 0.01) calls far less an improvement."""

FEW_EPOCHS = 3
"""Up to so many epochs there is no trend to judge by, and what is not fitted yet was not given the time. Ours."""

EXPLODED = 2.0
"""Losses above this multiple of the baseline's, all along or at the end: worse than not knowing anything, which only
steps that are too large explain (Goodfellow et al. 2016, section 11.4.1 on the learning rate; Smith 2018)."""

SHOCK = 2.0
"""A single epoch above this multiple of an exploded loss, if nothing is learned afterwards: such steps leave dead or
saturated units behind. Ours."""

SWING = 0.05
"""A rise of the train loss, as a share of its median. SageMaker Debugger, LossNotDecreasing,
`increase_threshold_percent` 5."""

VALIDATION_SWING = 0.2
"""The same on validation, which has fewer samples and is noisier. Ours."""

LEAST_SWING = 0.02
"""A swing's least size as a share of the baseline's loss, so that a loss near zero may tremble. Ours."""

SWINGING = 0.3
"""Epochs that belong to a swing (up and down again), as a share. Google ML crash course, exercise 1: an erratically
oscillating loss wants a lower learning rate. The number is ours."""

LEAST_SWINGS = 2
"""One bump is an accident. Ours."""

BETTER_SKILL = 0.05
"""A validation skill up to which a network is as good as uninformed, if its accuracy is not better either. Ours."""

MEMORISED = 0.5
"""Running train loss below this share of the baseline's while validation has learned nothing: networks fit random
labels as well (Zhang et al. 2017, "Understanding deep learning requires rethinking generalization")."""

PERFECT_ACCURACY = 0.99
"""A validation accuracy after at most `PERFECT_EPOCHS` that a network without pretrained weights hardly reaches
honestly: results better than expected are a sign of leakage (Kaufman et al. 2012, on its detection). The number is
ours."""

PERFECT_EPOCHS = 2
"""See `PERFECT_ACCURACY`."""

PERFECT_LOWER_BOUND = 0.9
"""Lower end of that accuracy's 95 % interval: 35 samples at least, all right. Ours."""

LEAKAGE_CONFIDENCE = 0.7
"""At most, without a warning of the dataset: curves cannot tell a leak from an easy problem. Ours."""

IMBALANCED = 2.0
"""The commonest class's share as a multiple of an equal share. Ours."""

Z_95 = 1.959964
"""Normal quantile of two-sided 95 % intervals."""
