"""Augmentation of training images: four policies, or every transform by hand."""

from typing import Literal, Self

from pydantic import Field, model_validator

from service.specs.base import Spec

Policy = Literal["none", "light", "standard", "strong"]


class Augmentation(Spec):
    """Either a `policy`, or explicit transforms (`policy` null or unset); unset transforms are off.

    Fields:
        random_resized_crop: smallest area fraction of the crop that is resized to full size; 1 is off.
        horizontal_flip, vertical_flip, random_erasing: probabilities.
        rotation_degrees: largest angle either way.
        color_jitter: strength of brightness, contrast and saturation changes.
        mixup_alpha, cutmix_alpha: Beta parameters (Zhang et al. 2018, Yun et al. 2019); 0 is off.
    """

    policy: Policy | None = None
    random_resized_crop: float | None = Field(None, ge=0.05, le=1.0)
    horizontal_flip: float | None = Field(None, ge=0.0, le=1.0)
    vertical_flip: float | None = Field(None, ge=0.0, le=1.0)
    rotation_degrees: float | None = Field(None, ge=0.0, le=180.0)
    color_jitter: float | None = Field(None, ge=0.0, le=1.0)
    random_erasing: float | None = Field(None, ge=0.0, le=1.0)
    trivial_augment: bool | None = None
    mixup_alpha: float | None = Field(None, ge=0.0, le=10.0)
    cutmix_alpha: float | None = Field(None, ge=0.0, le=10.0)

    @model_validator(mode="after")
    def _policy_or_transforms(self) -> Self:
        if self.policy is not None and any(value is not None for value in self.transforms().values()):
            raise ValueError("give either a policy or explicit transforms, not both")
        return self

    def transforms(self) -> dict[str, float | bool | None]:
        """The explicit transforms by name."""
        return self.model_dump(exclude={"policy"})

    def resolve(self, problem: str) -> "Augmentation":
        """With the policy named: `standard` unless transforms were given; `none` for tables."""
        if self.policy is None and all(value is None for value in self.transforms().values()):
            return Augmentation(policy="none" if problem.startswith("tabular") else "standard")
        return self

    @property
    def is_random(self) -> bool:
        """Whether an image can look different from one epoch to the next."""
        if self.policy is not None:
            return self.policy != "none"
        off: tuple[object, ...] = (None, 0, 0.0, False)
        values = self.transforms()
        crop = values.pop("random_resized_crop")
        return crop not in (None, 1.0) or any(value not in off for value in values.values())
