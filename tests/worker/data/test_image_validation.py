import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import (
    ArchiveBomb,
    DatasetTooSmall,
    ImageCorrupt,
    ImageTooLarge,
    ServiceError,
    Stopped,
    TargetInvalid,
    UnsupportedImage,
)
from tests.corpora import archive_bombs, archives, images, pets
from tests.corpora.pictures import encode, picture, png, with_orientation
from tests.corpora.zip_writer import Part, write_zip
from worker.data.image_validation import ImageValidation, validate_images


@pytest.fixture
def validate(tmp_path: Path) -> Callable[[bytes | list[Part]], ImageValidation]:
    def run(content: bytes | list[Part]) -> ImageValidation:
        path = tmp_path / "upload"
        path.write_bytes(content if isinstance(content, bytes) else write_zip(content))
        return validate_images(path, progress=lambda _done, _total: None)

    return run


Validate = Callable[[bytes | list[Part]], ImageValidation]


def codes(found: ImageValidation) -> list[str]:
    return [warning.code for warning in found.warnings]


def test_a_harmless_archive(validate: Validate) -> None:
    members = pets.parts(each=20)
    found = validate([*pets.junk(), *members])
    assert found.manifest.classes == ["cat", "dog"]
    assert [sample.path for sample in found.manifest.samples] == [part.path for part in members]
    assert found.manifest.samples[3].sha256 == hashlib.sha256(members[3].data).hexdigest()
    assert [(count.name, count.samples) for count in found.profile.classes] == [("cat", 20), ("dog", 20)]
    assert (found.profile.samples, found.profile.median_width, found.profile.median_height) == (40, 48, 32)
    assert not found.profile.has_predefined_split
    assert found.ignored_files == 5
    assert found.warnings == []


def test_predefined_split(validate: Validate) -> None:
    found = validate(pets.predefined(each=9))
    assert found.profile.has_predefined_split
    assert {sample.split for sample in found.manifest.samples} == {"train", "validation", "test"}


def test_sizes_are_those_displayed(validate: Validate) -> None:
    turned = [
        Part(f"{name}/{n}.png", with_orientation(picture(n + 9 * (name == "b")), 6)) for name in "ab" for n in range(6)
    ]
    profile = validate(turned).profile
    assert (profile.median_width, profile.median_height) == (32, 48)


@pytest.mark.parametrize("rule", ["s24", "s25", "s26", "s27"])
def test_s24_to_s27_bad_pictures_are_listed(rule: str, validate: Validate) -> None:
    for builder in images.cases(rule).values():
        content, slug = builder()
        with pytest.raises(ServiceError) as caught:
            validate([*pets.parts(), Part("dog/bad.png", content)])
        assert caught.value.slug == slug
        assert [(fault.loc, fault.code) for fault in caught.value.errors] == [(("file", "dog/bad.png"), slug)]


@pytest.mark.parametrize("rule", ["s19", "s20", "s22", "s23"])
def test_s19_to_s23_the_archive_is_checked_again(rule: str, validate: Validate) -> None:
    for builder in archives.cases(rule).values():
        content, slug = builder()
        with pytest.raises(ServiceError) as caught:
            validate(content)
        assert caught.value.slug == slug


def test_the_commonest_error_is_raised_with_all_faults(validate: Validate) -> None:
    half, huge = images.cases("s27")["s27_half_png"]()[0], images.cases("s25")["s25_png_just_above"]()[0]
    bad = [
        Part("cat/a.png", half),
        Part("cat/b.png", huge),
        Part("dog/c\u00e9.png", huge),
        Part("dog/d.png", b"GIF89a"),
    ]
    with pytest.raises(ImageTooLarge, match="2 of 4") as caught:
        validate([*pets.parts(), *bad])
    assert [fault.code for fault in caught.value.errors] == [
        ImageCorrupt.slug,
        ImageTooLarge.slug,
        ImageTooLarge.slug,
        UnsupportedImage.slug,
    ]
    assert caught.value.errors[2].loc == ("file", "dog/cé.png")


def test_100_faults_are_enough(validate: Validate) -> None:
    with pytest.raises(UnsupportedImage) as caught:
        validate([Part(f"{n % 2}/{n}.png", b"no picture") for n in range(150)])
    assert len(caught.value.errors) == 100


def test_s21_lying_entries(validate: Validate) -> None:
    with pytest.raises(ArchiveBomb):
        validate(archive_bombs.lying_bomb())
    with pytest.raises(ImageCorrupt):
        validate(archive_bombs.wrong_checksum())


def test_too_few_pictures(validate: Validate) -> None:
    with pytest.raises(DatasetTooSmall):
        validate(pets.plain(each=4))


def test_s31_a_class_of_two(validate: Validate) -> None:
    few = [Part("owl/1.png", png(80)), Part("owl/2.png", png(81)), Part("owl/copy.png", png(81))]
    with pytest.raises(TargetInvalid, match="owl") as caught:
        validate([*pets.parts(), *few])
    assert [fault.loc for fault in caught.value.errors] == [("class", "owl")]


def test_s31_a_class_whose_pictures_are_another_ones(validate: Validate) -> None:
    members = pets.parts(each=10)
    copies = [part.but(name=f"owl/{at}.png") for at, part in enumerate(members[:5])]
    with pytest.raises(TargetInvalid, match="owl"):
        validate([*members, *copies])


def test_s31_one_class(validate: Validate) -> None:
    with pytest.raises(TargetInvalid, match="cat"):
        validate(pets.plain(classes=("cat",)))


@pytest.mark.parametrize("absent", ["train", "test"])
def test_s31_a_class_missing_in_a_split(absent: str, validate: Validate) -> None:
    names = [f"{split}/{name}" for split in ("train", "test") for name in ("cat", "dog")]
    names.remove(f"{absent}/dog")
    with pytest.raises(TargetInvalid, match=f"{absent} split.*dog"):
        validate([Part(f"{name}/{n}.png", png(at * 6 + n)) for at, name in enumerate(names) for n in range(6)])


def test_a_test_split_is_optional_and_train_is_not(validate: Validate) -> None:
    assert validate(pets.parts(root="train/")).profile.has_predefined_split
    with pytest.raises(TargetInvalid, match="train"):
        validate(pets.parts(root="test/"))


def test_warnings_about_size_and_balance(validate: Validate) -> None:
    many = [Part(f"cat/{n}.png", encode(picture(n, size=(9, 8 + n // 100)))) for n in range(45)]
    found = validate([*many, *[Part(f"dog/{n}.png", png(100 + n)) for n in range(4)]])
    assert codes(found) == ["small-dataset", "class-imbalance"]
    assert "11 times" in found.warnings[1].message


def test_warnings_about_copies(validate: Validate) -> None:
    members = pets.parts(each=20)
    copies = [
        members[0].but(name="cat/copy.png"),
        members[0].but(name="cat/copy2.png"),
        members[1].but(name="dog/x.png"),
    ]
    found = validate([*members, *copies])
    assert codes(found) == ["duplicate-samples", "conflicting-labels"]
    assert found.warnings[0].message.startswith("2 ")
    assert found.warnings[1].message.startswith("1 ")


def test_s32_copies_in_two_splits(validate: Validate) -> None:
    train = pets.parts(each=22, root="train/")
    test = [part.but(name=part.path.replace("train", "test")) for part in train if part.path[-5] in "01"]
    found = validate([*train, *test])
    assert codes(found) == ["leakage-suspected"]
    assert found.warnings[0].message.startswith(f"{len(test)} ")


def test_progress_may_stop(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(pets.plain())
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise Stopped("cancelled")

    with pytest.raises(Stopped):
        validate_images(path, progress=progress)
    assert seen == [(0, 12), (1, 12), (2, 12), (3, 12)]
    validate_images(path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (12, 12)
