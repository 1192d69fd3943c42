"""Which columns matter over many rows."""

import numpy as np

from worker.explaining.results import Explanation


def summarise(explanation: Explanation) -> list[dict[str, str | float]]:
    """`{"feature", "mean_absolute_attribution"}` of each column, the largest first.

    The mean is over the targets of each row, then over rows. Empty where no row was explained.
    """
    rows = [
        np.mean([[abs(one["attribution"]) for one in target.attributions] for target in item.targets], axis=0)
        for item in explanation.items
        if item.targets
    ]
    if not rows:
        return []
    names = [one["feature"] for one in next(item for item in explanation.items if item.targets).targets[0].attributions]
    pairs = zip(names, np.mean(rows, axis=0).tolist(), strict=True)
    found = [{"feature": name, "mean_absolute_attribution": value} for name, value in pairs]
    return sorted(found, key=lambda entry: -entry["mean_absolute_attribution"])
