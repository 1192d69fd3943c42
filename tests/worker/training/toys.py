"""Settings made by hand, for problems whose solution is known."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from service.specs.datasets import Manifest
from service.specs.jobs import JobSpec
from tests.worker.training.orders import RecordingSink
from worker.backbones.parts import Head
from worker.backbones.sources import WeightSources
from worker.backbones.trained import TrainedNetwork
from worker.training.classification import Classification
from worker.training.image_subject import ImageSubject
from worker.training.learner import Learner
from worker.training.order import TrialOrder
from worker.training.precision import Precision
from worker.training.reporting import Reporter
from worker.training.setting import Setting


def linear_setting(features: Tensor, targets: Tensor, *, dropout: float = 0.0, **training: Any) -> Setting:
    """A head alone on [n, d] features and [n] targets, all of them train; full batches, SGD, no decay, no clipping."""
    plain = {"optimizer": "sgd", "schedule": "constant", "weight_decay": 0.0, "gradient_clip_norm": None}
    asked = {**plain, "batch_size": max(2, len(targets)), **training}
    spec = JobSpec.model_validate(
        {"dataset_id": "ds_x", "backbone": {"name": "small_cnn", "trainable": "head"}, "training": asked}
    )
    classes = [f"class {index}" for index in range(int(targets.max()) + 1)]
    torch.manual_seed(0)
    head = Head(features.shape[1], len(classes), dropout=dropout)
    everything = list(range(len(targets)))
    manifest = Manifest(classes=classes, samples=[])
    order = TrialOrder(spec, Path(), manifest, "", Path(), Path(), WeightSources())
    device = torch.device("cpu")
    trained = TrainedNetwork(head, classes, "small_cnn", 32, device)
    subject = ImageSubject(order, head, head, targets, device, manifest, lambda: trained, features, lambda x: x)
    dealt: Any = {"train": everything, "validation": [], "test": []}
    objective = Classification.of(classes, spec.training, targets, device)
    return Setting(order, subject, objective, dealt, Precision("float32", device))


def trained_for(setting: Setting, epochs: int) -> Learner:
    learner = Learner(setting, reporter(epochs))
    for epoch in range(1, epochs + 1):
        learner.train_epoch(epoch)
    return learner


def reporter(epochs: int = 1) -> Reporter:
    return Reporter(RecordingSink(), epochs)
