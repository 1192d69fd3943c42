"""Deals of images are pinned: a seed deals today what it dealt when a published model was trained."""

import hashlib
import json
import random

import pytest

from service.specs.datasets import SPLITS, ImageSample, Manifest
from service.specs.jobs import SplitSpec
from worker.data.deck import deck_of
from worker.data.splits import deal

PINNED = {
    "stratified 0": "924da51e0cd80772",
    "stratified 7": "cdb5f06151812eb0",
    "random 0": "084eb707045a05ae",
    "random 7": "027f6f9ea84d112a",
    "group 0": "24719d7895ccae34",
    "group 7": "802f4470f459c74b",
    "time 0": "0f44f5f0d2f419bc",
    "time 7": "0f44f5f0d2f419bc",
    "predefined 0": "7e1461e5a80fa9f3",
    "predefined 7": "7e1461e5a80fa9f3",
}
"""Made by the code of commit 66aa2fa, before tables and texts were dealt."""


def images(predefined: bool) -> Manifest:
    """200 images of four uneven classes, some with the same bytes, with patients and times."""
    generator = random.Random(11)
    samples = []
    for number in range(200):
        label = "abcd"[min(int(generator.expovariate(0.9)), 3)]
        split = SPLITS[number % 3] if predefined else None
        values = [f"p{generator.randrange(40)}", f"2024-{1 + number % 12:02d}-{generator.randint(1, 28):02d}"]
        path = f"{label}/{number}.png"
        digest = f"{generator.randrange(number + 1) if number % 20 == 19 else number}"
        samples.append(ImageSample(path=path, label=label, split=split, sha256=digest, values=values))
    classes = sorted({sample.label for sample in samples})
    return Manifest(classes=classes, samples=samples, columns=["patient", "taken"])


SPECS = {
    "stratified": SplitSpec(strategy="stratified"),
    "random": SplitSpec(validation=0.2, test=0.1, strategy="random"),
    "group": SplitSpec(strategy="group", group_column="patient"),
    "time": SplitSpec(strategy="time", time_column="taken"),
    "predefined": SplitSpec(strategy="predefined"),
}


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("seed", [0, 7])
def test_images_are_dealt_as_ever(name: str, seed: int) -> None:
    dealt = deal(deck_of(images(name == "predefined")), SPECS[name], seed)
    digest = hashlib.sha256(json.dumps(dealt, sort_keys=True).encode()).hexdigest()
    assert digest[:16] == PINNED[f"{name} {seed}"]
