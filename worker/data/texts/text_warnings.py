"""What is worth knowing about a text dataset that can be learned from all the same."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from service.specs.datasets import Warning
from service.specs.text_files import TextRow
from worker.data.texts.samples import digest_of

IMBALANCE_RATIO = 10
SMALL_PER_CLASS = 20
LONG_SHARE = 0.05


def warn_about(rows: Sequence[TextRow], lengths: Sequence[int], *, most_tokens: int) -> list[Warning]:
    """Warnings in a fixed order; texts count as the same when their words are.

    `lengths` are tokens by the default backbone, which reads `most_tokens`.
    """
    counts = Counter(row.label for row in rows)
    labels: defaultdict[str, set[str | None]] = defaultdict(set)
    for row in rows:
        labels[digest_of(row.text)].add(row.label)
    found: list[Warning] = []
    fewest, most = min(counts.values()), max(counts.values())
    if fewest < SMALL_PER_CLASS:
        text = f"The smallest class has {fewest} texts; below {SMALL_PER_CLASS} the metrics say little."
        found.append(Warning(code="small-dataset", message=text))
    if most / fewest > IMBALANCE_RATIO:
        ratio = f"{most / fewest:.0f} times as many texts as the smallest"
        found.append(Warning(code="class-imbalance", message=f"The largest class has {ratio}; consider class weights."))
    if copies := len(rows) - sum(map(len, labels.values())):
        found.append(
            Warning(code="duplicate-samples", message=f"{copies} texts are copies of another text of their class.")
        )
    if conflicting := sum(len(found_under) > 1 for found_under in labels.values()):
        found.append(Warning(code="conflicting-labels", message=f"{conflicting} texts occur in more than one class."))
    too_long = sum(length > most_tokens for length in lengths)
    if too_long > LONG_SHARE * len(rows):
        share = f"{too_long / len(rows):.0%} of the texts have more than {most_tokens} tokens"
        found.append(Warning(code="long-texts", message=f"{share}; the default backbone reads no further."))
    return found
