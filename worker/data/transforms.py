"""Augmentation specs → torchvision transforms of images, and mixing of batches."""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

from service.specs.augmentation import Augmentation, Policy

Transform = Callable[[Tensor], Tensor]
Mixing = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

POLICIES: dict[Policy, Augmentation] = {
    "none": Augmentation(),
    # No flips: right for digits, letters and signs too.
    "light": Augmentation(random_resized_crop=0.8, rotation_degrees=8.0),
    # No rotation: it blurs small images, and cost up to one point on Fashion-MNIST.
    "standard": Augmentation(random_resized_crop=0.8, horizontal_flip=0.5, color_jitter=0.1),
    "strong": Augmentation(random_resized_crop=0.5, horizontal_flip=0.5, trivial_augment=True, random_erasing=0.25),
}
_GREY = 128


def explicit(augmentation: Augmentation) -> Augmentation:
    """The transforms that a policy stands for; explicit ones as they are."""
    return POLICIES[augmentation.policy] if augmentation.policy else augmentation


def image_transform(augmentation: Augmentation, size: int) -> Transform | None:
    """Random changes to one image, [3, s, s] uint8 → the same; None if there are none.

    Draws from torch's global generator.
    """
    spec = explicit(augmentation)
    steps: list[Transform] = []
    if spec.trivial_augment:
        steps.append(v2.TrivialAugmentWide())
    if spec.rotation_degrees:
        steps.append(v2.RandomRotation(spec.rotation_degrees, interpolation=v2.InterpolationMode.BILINEAR))
    if spec.random_resized_crop not in (None, 1.0):
        crop = v2.RandomResizedCrop(size, scale=(spec.random_resized_crop, 1.0), ratio=(0.8, 1.25), antialias=True)
        steps.append(crop)
    if spec.horizontal_flip:
        steps.append(v2.RandomHorizontalFlip(spec.horizontal_flip))
    if spec.vertical_flip:
        steps.append(v2.RandomVerticalFlip(spec.vertical_flip))
    if spec.color_jitter:
        strength = spec.color_jitter
        steps.append(v2.ColorJitter(brightness=strength, contrast=strength, saturation=strength))
    if spec.random_erasing:
        steps.append(v2.RandomErasing(spec.random_erasing, value=_GREY))
    return v2.Compose(steps) if steps else None


def batch_mixing(augmentation: Augmentation, classes: int) -> Mixing | None:
    """Mixes a batch of images with itself: [n, 3, s, s] float32, [n] int64 → images, [n, c] target shares.

    Mixup (Zhang et al. 2018), CutMix (Yun et al. 2019), or either at random; None if neither is on. Draws from
    torch's global generator.
    """
    spec = explicit(augmentation)
    steps: list[Mixing] = []
    if spec.mixup_alpha:
        steps.append(v2.MixUp(alpha=spec.mixup_alpha, num_classes=classes))
    if spec.cutmix_alpha:
        steps.append(v2.CutMix(alpha=spec.cutmix_alpha, num_classes=classes))
    if not steps:
        return None
    return steps[0] if len(steps) == 1 else v2.RandomChoice(steps)


def each(transform: Transform, images: Tensor, seed: int) -> Tensor:
    """`transform` on every image of [n, ...] by itself; which changes are drawn depends on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return torch.stack([transform(image) for image in images])
