"""What is worth knowing about an image dataset that can be learned from all the same."""

from collections import Counter, defaultdict

from service.specs.datasets import ImageSample, Warning

IMBALANCE_RATIO = 10
SMALL_PER_CLASS = 20


def warn_about(samples: list[ImageSample]) -> list[Warning]:
    """Warnings in a fixed order; pictures count as the same when their bytes are."""
    counts = Counter(sample.label for sample in samples)
    labels: defaultdict[str, set[str]] = defaultdict(set)
    splits: defaultdict[str, set[str | None]] = defaultdict(set)
    for sample in samples:
        labels[sample.sha256].add(sample.label)
        splits[sample.sha256].add(sample.split)
    return [
        warning
        for warning in (
            _small(counts),
            _imbalance(counts),
            _duplicates(samples),
            _conflicts(labels),
            _leakage(splits),
        )
        if warning
    ]


def _small(counts: Counter[str]) -> Warning | None:
    fewest = min(counts.values())
    if fewest >= SMALL_PER_CLASS:
        return None
    message = f"The smallest class has {fewest} pictures; below {SMALL_PER_CLASS} the metrics say little."
    return Warning(code="small-dataset", message=message)


def _imbalance(counts: Counter[str]) -> Warning | None:
    ratio = max(counts.values()) / min(counts.values())
    if ratio <= IMBALANCE_RATIO:
        return None
    message = f"The largest class has {ratio:.0f} times as many pictures as the smallest; consider class weights."
    return Warning(code="class-imbalance", message=message)


def _duplicates(samples: list[ImageSample]) -> Warning | None:
    copies = len(samples) - len({(sample.label, sample.split, sample.sha256) for sample in samples})
    if not copies:
        return None
    message = f"{copies} pictures are copies of another picture of their class and split."
    return Warning(code="duplicate-samples", message=message)


def _conflicts(labels: dict[str, set[str]]) -> Warning | None:
    conflicting = sum(len(found) > 1 for found in labels.values())
    if not conflicting:
        return None
    return Warning(code="conflicting-labels", message=f"{conflicting} pictures occur in more than one class.")


def _leakage(splits: dict[str, set[str | None]]) -> Warning | None:
    leaked = sum(len(found) > 1 for found in splits.values())
    if not leaked:
        return None
    message = f"{leaked} pictures occur in more than one split: metrics will be better than they should be."
    return Warning(code="leakage-suspected", message=message)
