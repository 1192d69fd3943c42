import pytest
import torch

from service.specs.augmentation import Augmentation
from worker.data.transforms import POLICIES, batch_mixing, each, explicit, image_transform


def ramp(side: int = 32) -> torch.Tensor:
    """[3, s, s] uint8, brighter to the right; not symmetric in any way."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([columns * 7, rows * 3, rows + columns]).to(torch.uint8)


def test_policy_none_is_no_transform() -> None:
    assert image_transform(Augmentation(policy="none"), 32) is None
    assert image_transform(Augmentation(random_resized_crop=1.0, horizontal_flip=0.0), 32) is None


@pytest.mark.parametrize("policy", ["light", "standard", "strong"])
def test_policies_change_images_but_not_their_kind(policy: str) -> None:
    transform = image_transform(Augmentation(policy=policy), 32)  # type: ignore[arg-type]
    assert transform
    images = ramp().expand(6, -1, -1, -1)
    made = each(transform, images, seed=1)

    assert (made.shape, made.dtype) == (images.shape, torch.uint8)
    assert len({image.numpy().tobytes() for image in made}) == 6, "each image is changed in its own way"
    assert torch.equal(made, each(transform, images, seed=1))
    assert not torch.equal(made, each(transform, images, seed=2))


def test_light_never_mirrors() -> None:
    transform = image_transform(Augmentation(policy="light"), 32)
    assert transform
    made = each(transform, ramp().expand(200, -1, -1, -1), seed=0).float()
    left, right = made[:, 0, 8:24, 8:12].mean((1, 2)), made[:, 0, 8:24, 20:24].mean((1, 2))
    top, bottom = made[:, 1, 8:12, 8:24].mean((1, 2)), made[:, 1, 20:24, 8:24].mean((1, 2))

    assert (left < right).all()
    assert (top < bottom).all()


def test_flips_are_exact_mirrors() -> None:
    flip = image_transform(Augmentation(horizontal_flip=1.0), 32)
    both = image_transform(Augmentation(horizontal_flip=1.0, vertical_flip=1.0), 32)
    assert flip
    assert both
    assert torch.equal(flip(ramp()), ramp().flip(2))
    assert torch.equal(both(ramp()), ramp().flip(1, 2))


def test_augmenting_leaves_the_global_generator_alone() -> None:
    transform = image_transform(Augmentation(policy="strong"), 32)
    assert transform
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    each(transform, ramp().expand(3, -1, -1, -1), seed=9)

    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "spec", [{"mixup_alpha": 0.4}, {"cutmix_alpha": 1.0}, {"mixup_alpha": 0.4, "cutmix_alpha": 1.0}]
)
def test_mixed_targets_are_the_shares_of_mixed_images(spec: dict[str, float]) -> None:
    mix = batch_mixing(Augmentation.model_validate(spec), classes=4)
    assert mix
    targets = torch.arange(4)
    images = torch.eye(4).view(4, 4, 1, 1).expand(-1, -1, 16, 16).contiguous()
    torch.manual_seed(0)
    for _ in range(5):
        mixed, shares = mix(images, targets)
        # Image k is one in channel k, so that a channel's mean is the share of class k.
        torch.testing.assert_close(mixed.mean((2, 3)), shares, atol=1e-5, rtol=0)


def test_policies_resolve_to_explicit_transforms() -> None:
    assert explicit(Augmentation(policy="standard")) == POLICIES["standard"]
    assert POLICIES["light"].horizontal_flip is None
    own = Augmentation(horizontal_flip=0.5)
    assert explicit(own) is own
    assert batch_mixing(own, 3) is None
