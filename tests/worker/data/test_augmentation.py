"""Augmentations against their papers: what is drawn, from what, how often."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from service.specs.augmentation import Augmentation
from worker.data.transforms import batch_mixing, each, image_transform

SIDE = 32


def one_hot_images(side: int = SIDE) -> Tensor:
    """[4, 4, s, s]: image k is one in channel k and nought elsewhere."""
    return torch.eye(4).view(4, 4, 1, 1).expand(-1, -1, side, side).contiguous()


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_draws_its_share_from_beta_and_mixes_pixels_and_targets_by_it(alpha: float) -> None:
    """Zhang et al. 2018: x = λ x_i + (1-λ) x_j, y likewise, λ ~ Beta(a, a), whose variance is 1 / (4 (2a + 1))."""
    mix = batch_mixing(Augmentation(mixup_alpha=alpha), classes=4)
    assert mix
    torch.manual_seed(0)
    drawn = []
    for _ in range(1500):
        mixed, shares = mix(one_hot_images(2), torch.arange(4))
        torch.testing.assert_close(mixed, shares[:, :, None, None].expand_as(mixed))
        drawn.append(shares[0, 0].item())
    found = torch.tensor(drawn)

    assert found.mean().item() == pytest.approx(0.5, abs=0.04)
    assert found.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.12)


def test_cutmix_pastes_one_box_whose_area_is_the_others_share() -> None:
    """Yun et al. 2019: the box has the share 1-λ of the area, and targets are mixed by λ."""
    mix = batch_mixing(Augmentation(cutmix_alpha=1.0), classes=4)
    assert mix
    torch.manual_seed(0)
    areas = []
    for _ in range(300):
        mixed, shares = mix(one_hot_images(), torch.arange(4))
        pasted = mixed[0, 0] == 0
        rows, columns = pasted.any(1), pasted.any(0)
        assert torch.equal(pasted, rows[:, None] & columns[None]), "what is pasted is one box"
        assert set(mixed.unique().tolist()) <= {0.0, 1.0}, "pixels are taken whole"
        assert shares[0, 0].item() == pytest.approx(1 - pasted.float().mean().item(), abs=1e-6)
        torch.testing.assert_close(shares.sum(1), torch.ones(4))
        areas.append(pasted.float().mean().item())
    # Uniform areas, less what reaches over the edge.
    assert 0.25 < sum(areas) / len(areas) < 0.5
    assert max(areas) > 0.7


def test_random_erasing_erases_one_box_of_its_scale_and_ratio_as_often_as_asked() -> None:
    """Zhong et al. 2020: probability p, area 0.02 to 0.33 of the image, aspect ratio 0.3 to 3.3."""
    transform = image_transform(Augmentation(random_erasing=0.4), SIDE)
    assert transform
    images = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8).expand(2000, -1, -1, -1)
    boxes = each(transform, images, seed=3)[:, 0] != 0
    erased = boxes[boxes.any(2).any(1)]
    heights, widths = erased.any(2).sum(1), erased.any(1).sum(1)

    assert len(erased) / 2000 == pytest.approx(0.4, abs=0.04)
    assert torch.equal(erased.sum((1, 2)), heights * widths), "one box, wholly erased"
    pixel = 1 / SIDE
    areas, ratios = (heights * widths) / SIDE**2, heights / widths
    assert 0.02 - pixel < areas.min().item() < 0.04
    assert 0.30 < areas.max().item() < 0.33 + pixel
    assert 0.2 < ratios.min().item() < 0.45
    assert 2.2 < ratios.max().item() < 4.5


def test_trivial_augment_applies_one_operation_of_its_list_at_one_strength() -> None:
    """Müller and Hutter 2021, table 1 (wide): 14 operations, drawn uniformly, each at one of 31 strengths."""
    image = torch.randint(0, 256, (3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    operations: dict[bytes, set[str]] = {}
    for name, made in operations_on(image):
        operations.setdefault(made.numpy().tobytes(), set()).add(name)
    transform = image_transform(Augmentation(trivial_augment=True), SIDE)
    assert transform
    drawn = [
        operations.get(made.numpy().tobytes(), set())
        for made in each(transform, image.expand(1400, -1, -1, -1), seed=1)
    ]

    assert all(drawn), "every result is one operation's at one strength"
    counts = {
        name: sum(names == {name} for names in drawn) for name in {n for names in operations.values() for n in names}
    }
    assert len(counts) == 14
    # 100 of each are due; those at strength nought cannot be told apart, and count for none.
    assert all(count > 55 for name, count in counts.items() if name not in ("identity", "autocontrast", "posterize"))
    assert sum("identity" in names for names in drawn) > 70


def operations_on(image: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Every operation at every strength, put together by hand."""
    yield "identity", image
    yield "autocontrast", F.autocontrast(image)
    yield "equalize", F.equalize(image)
    for step in range(31):
        yield "posterize", F.posterize(image, round(8 - step / 5))
        yield "solarize", F.solarize(image, 255 * float(torch.linspace(1, 0, 31)[step]))
        for sign in (1, -1):
            strength = sign * float(torch.linspace(0, 0.99, 31)[step])
            yield "brightness", F.adjust_brightness(image, 1 + strength)
            yield "color", F.adjust_saturation(image, 1 + strength)
            yield "contrast", F.adjust_contrast(image, 1 + strength)
            yield "sharpness", F.adjust_sharpness(image, 1 + strength)
            yield "rotate", F.rotate(image, sign * float(torch.linspace(0, 135, 31)[step]))
            angle, shift = math.degrees(math.atan(strength)), int(sign * float(torch.linspace(0, 32, 31)[step]))
            for name, shear, move in (
                ("shear x", [angle, 0.0], [0, 0]),
                ("shear y", [0.0, angle], [0, 0]),
                ("translate x", [0.0, 0.0], [shift, 0]),
                ("translate y", [0.0, 0.0], [0, shift]),
            ):
                yield name, F.affine(image, angle=0.0, translate=move, scale=1.0, shear=shear, center=[0, 0])
