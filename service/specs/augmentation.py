"""Augmentation of training images and texts: four policies, or every transform by hand."""

from typing import Literal, Self

from pydantic import Field, model_validator

from service.specs.base import Spec, broken_rule

Policy = Literal["none", "light", "standard", "strong"]
TEXT_TRANSFORMS = ("synonym_replacement", "random_deletion", "random_swap", "back_translation")
WORDNET, MARIAN = "wordnet", "marian"
NEEDED_BY = {
    "synonym_replacement": (WORDNET, "no worker has WordNet (Debian: wordnet-base)"),
    "back_translation": (
        MARIAN,
        "no worker has folders marian-en-<language> and marian-<language>-en in its directory of weights",
    ),
}
"""What transforms need that workers may lack, by the name under which workers announce it, and what to say then."""


class Augmentation(Spec):
    """Either a `policy`, or explicit transforms (`policy` null or unset); unset transforms are off.

    Fields of images:
        random_resized_crop: smallest area fraction of the crop that is resized to full size; 1 is off.
        horizontal_flip, vertical_flip, random_erasing: probabilities.
        rotation_degrees: largest angle either way.
        color_jitter: strength of brightness, contrast and saturation changes.
        mixup_alpha, cutmix_alpha: Beta parameters (Zhang et al. 2018, Yun et al. 2019); 0 is off.

    Fields of texts:
        synonym_replacement, random_deletion, random_swap: probabilities for each word (Wei and Zou 2019). Synonyms
            are WordNet's.
        back_translation: probability for each text of being put into another language and back (Sennrich et al.
            2016), by a pair of MarianMT models on the worker.
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
    synonym_replacement: float | None = Field(None, ge=0.0, le=1.0)
    random_deletion: float | None = Field(None, ge=0.0, le=0.9)
    random_swap: float | None = Field(None, ge=0.0, le=1.0)
    back_translation: float | None = Field(None, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _policy_or_transforms(self) -> Self:
        if self.policy is not None and any(value is not None for value in self.transforms().values()):
            raise broken_rule("policy", "give either a policy or explicit transforms, not both")
        return self

    def transforms(self) -> dict[str, float | bool | None]:
        """The explicit transforms by name."""
        return self.model_dump(exclude={"policy"})

    def resolve(self, problem: str) -> "Augmentation":
        """With the policy named: unless transforms were given, `standard` for images and `none` elsewhere.

        Pretrained transformers gain next to nothing from such changes of texts (Longpre et al. 2020), and without
        them what a frozen one makes of the texts is computed once.
        """
        if self.policy is None and all(value is None for value in self.transforms().values()):
            return Augmentation(policy="standard" if problem == "image_classification" else "none")
        return self

    def check_problem(self, problem: str) -> None:
        """Raises a broken rule of the job spec, at the field, where a transform is not of `problem`'s inputs."""
        of_images = {name for name in self.transforms() if name not in TEXT_TRANSFORMS}
        allowed = {"image_classification": of_images, "text_classification": set(TEXT_TRANSFORMS)}.get(problem, set())
        for name, value in self.transforms().items():
            if value is not None and name not in allowed:
                has = f"it has {', '.join(sorted(allowed))}" if allowed else "it has none"
                raise broken_rule(f"augmentation.{name}", f"not for {problem}; {has}")
        if problem.startswith("tabular") and self.policy not in (None, "none"):
            raise broken_rule("augmentation.policy", "tables are not augmented")

    @property
    def is_random(self) -> bool:
        """Whether a sample can look different from one epoch to the next."""
        if self.policy is not None:
            return self.policy != "none"
        off: tuple[object, ...] = (None, 0, 0.0, False)
        values = self.transforms()
        crop = values.pop("random_resized_crop")
        return crop not in (None, 1.0) or any(value not in off for value in values.values())
