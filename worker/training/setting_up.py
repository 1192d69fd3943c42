"""From an order to a setting, by modality."""

import torch

from service.specs.datasets import Manifest
from service.specs.texts import TextManifest
from worker.data.deals import Deal
from worker.data.deck import deck_of, deck_of_labels
from worker.data.splits import deal
from worker.data.texts.samples import read_texts
from worker.training.classification import Classification
from worker.training.image_setting import image_subject
from worker.training.objective import Objective
from worker.training.order import TrialOrder
from worker.training.precision import Precision
from worker.training.regression import Regression
from worker.training.reporting import Reporter
from worker.training.setting import Setting
from worker.training.subject import Subject
from worker.training.table_data import TableData
from worker.training.table_source import table_data
from worker.training.table_subject import table_subject
from worker.training.text_subject import text_subject


def set_up(order: TrialOrder, reporter: Reporter) -> Setting:
    """Deals the samples, reads them, and builds the network.

    Raises:
        Invalid: no column of a table can be encoded.
        UnknownBackbone: pretrained weights are not at hand.
        TargetInvalid, DatasetTooSmall: the samples cannot be dealt.
        Stopped: the sink asked for it.
    """
    if order.spec.estimator is not None:
        return table_setting(order, table_data(order))
    if isinstance(order.manifest, TextManifest):
        return _text_setting(order, order.manifest, reporter)
    assert isinstance(order.manifest, Manifest)
    dealt = deal(deck_of(order.manifest), order.spec.split, order.spec.seed)
    subject = image_subject(order, order.manifest, reporter)
    return _classifying(order, subject, order.manifest.classes, dealt)


def _text_setting(order: TrialOrder, manifest: TextManifest, reporter: Reporter) -> Setting:
    """As images are dealt: texts of the same words stay together."""
    samples = read_texts(order.archive, manifest)
    deck = deck_of_labels(samples.classes, samples.digests, samples.columns.__getitem__, "texts")
    dealt = deal(deck, order.spec.split, order.spec.seed)
    return _classifying(order, text_subject(order, manifest, samples, reporter), manifest.classes, dealt)


def table_setting(order: TrialOrder, data: TableData) -> Setting:
    """Of an `mlp`.

    Raises:
        Invalid: no column can be encoded.
    """
    if data.classes:
        subject = table_subject(order, data, Regression())
        return _classifying(order, subject, data.classes, data.dealt)
    values = Regression.of(data.targets_of("train"))
    return _setting(order, table_subject(order, data, values), values, data.dealt)


def _classifying(order: TrialOrder, subject: Subject, classes: list[str], dealt: Deal) -> Setting:
    train = subject.targets[dealt["train"]]
    return _setting(order, subject, Classification.of(classes, order.spec.training, train, subject.device), dealt)


def _setting(order: TrialOrder, subject: Subject, objective: Objective, dealt: Deal) -> Setting:
    precision = Precision(order.spec.training.precision, torch.device(order.device))
    return Setting(order, subject, objective, dealt, precision)
