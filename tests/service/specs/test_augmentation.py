"""Which augmentation goes with which problem, and what a spec without one gets."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.specs.augmentation import TEXT_TRANSFORMS, Augmentation
from service.specs.base import rule_in_words
from service.specs.jobs import JobSpec

OF_IMAGES = {"random_resized_crop": 0.5, "horizontal_flip": 0.5, "trivial_augment": True, "mixup_alpha": 0.2}
OF_TEXTS = dict.fromkeys(TEXT_TRANSFORMS, 0.1)
OTHER = [
    *(("text_classification", name, value) for name, value in OF_IMAGES.items()),
    *(("image_classification", name, value) for name, value in OF_TEXTS.items()),
    *(("tabular_regression", name, value) for name, value in (OF_IMAGES | OF_TEXTS).items()),
]


@pytest.mark.parametrize(("problem", "name", "value"), OTHER)
def test_a_transform_of_another_problem_is_refused_by_name(problem: str, name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=rf"not for {problem}; it has") as refused:
        JobSpec.model_validate({"dataset_id": "ds_x", "problem": problem, "augmentation": {name: value}})
    assert rule_in_words(refused.value.errors()[0]).startswith(f"augmentation.{name}: not for")


@pytest.mark.parametrize(("problem", "own"), [("image_classification", OF_IMAGES), ("text_classification", OF_TEXTS)])
def test_own_transforms_and_every_policy_are_taken(problem: str, own: dict[str, Any]) -> None:
    for augmentation in (own, *({"policy": policy} for policy in ("none", "light", "standard", "strong"))):
        JobSpec.model_validate({"dataset_id": "ds_x", "problem": problem, "augmentation": augmentation})
    with pytest.raises(ValidationError, match="not both"):
        Augmentation.model_validate(own | {"policy": "light"})


def test_tables_take_no_policy_but_none() -> None:
    for policy in ("light", "standard", "strong"):
        with pytest.raises(ValidationError, match="tables are not augmented"):
            JobSpec.model_validate(
                {"dataset_id": "ds_x", "problem": "tabular_classification", "augmentation": {"policy": policy}}
            )
    JobSpec.model_validate({"dataset_id": "ds_x", "problem": "tabular_regression", "augmentation": {"policy": "none"}})


def test_images_are_augmented_by_default_and_nothing_else_is() -> None:
    assert Augmentation().resolve("image_classification").policy == "standard"
    for problem in ("text_classification", "tabular_classification", "tabular_regression"):
        assert Augmentation().resolve(problem).policy == "none"
    assert Augmentation(random_swap=0.2).resolve("text_classification") == Augmentation(random_swap=0.2)


@pytest.mark.parametrize("name", TEXT_TRANSFORMS)
def test_a_transform_that_is_on_is_random(name: str) -> None:
    assert Augmentation.model_validate({name: 0.1}).is_random
    assert not Augmentation.model_validate({name: 0.0}).is_random


def test_probabilities_are_bounded() -> None:
    for name in TEXT_TRANSFORMS:
        for value in (-0.1, 1.1):
            with pytest.raises(ValidationError):
                Augmentation.model_validate({name: value})
