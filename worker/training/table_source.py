"""A dataset of rows as validation left it, read and dealt."""

from service.specs.tables import TableManifest
from worker.data.deck import deck_of_labels, deck_of_values
from worker.data.splits import deal
from worker.data.tables.samples import read_samples
from worker.training.order import TrialOrder
from worker.training.table_data import TableData, class_indices


def table_data(order: TrialOrder) -> TableData:
    """The rows of `samples.parquet` with their targets, dealt as the spec says; of values by their deciles.

    Raises:
        TargetInvalid, DatasetTooSmall: the rows cannot be dealt.
    """
    manifest, spec = order.manifest, order.spec
    assert isinstance(manifest, TableManifest)
    samples = read_samples(order.archive, manifest)
    if spec.problem == "tabular_regression":
        assert samples.values is not None, "the spec was resolved by the manifest's problems"
        deck = deck_of_values(samples.values, samples.digests, samples.columns, "rows")
        return TableData(samples.table, manifest, [], samples.values, deal(deck, spec.split, spec.seed))
    assert samples.classes is not None, "the spec was resolved by the manifest's problems"
    labels = samples.classes.tolist()
    deck = deck_of_labels(labels, samples.digests, samples.columns, "rows")
    targets = class_indices(labels, manifest.classes)
    return TableData(samples.table, manifest, manifest.classes, targets, deal(deck, spec.split, spec.seed))
