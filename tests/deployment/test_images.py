"""The images of docker-compose.yml, as their Dockerfiles have them."""

import re

import pytest

from tests.architecture.tree import ROOT
from tests.deployment.compose import Image, document
from tests.deployment.deployed import SECRETS

SERVICES = document(SECRETS)["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service and name != "minio"}
EXACT_TAGS = {
    "postgres": r"\d+\.\d+",
    "redis": r"\d+\.\d+\.\d+",
    "python": r"\d+\.\d+\.\d+-slim",
    "minio/minio": r"RELEASE\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ",
}


@pytest.mark.parametrize("name", sorted(OURS))
def test_s45_python_starts_where_nobody_may_write(name: str) -> None:
    """It looks for modules there first: a file celery.py would be run."""
    image = Image.of(SERVICES[name])
    assert image.folder == "/opt/tunelens"
    assert image.environment["PYTHONSAFEPATH"] == "1"
    mounted = [mount.split(":")[1] for mount in SERVICES[name].get("volumes", []) if not mount.endswith(":ro")]
    assert not any(image.folder.startswith(target) for target in [*mounted, "/tmp"])


def test_s46_images_are_exact() -> None:
    lines = [line for file in sorted((ROOT / "docker").glob("*.Dockerfile")) for line in file.read_text().splitlines()]
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    pulled = [service["image"] for service in SERVICES.values() if "build" not in service]
    for image in bases + pulled:
        name, _, tag = image.partition(":")
        assert re.fullmatch(EXACT_TAGS[name], tag), image
    assert len(set(bases)) == 2
    (redis,) = (image.partition(":")[2] for image in pulled if image.startswith("redis:"))
    assert tuple(map(int, redis.split("."))) >= (8, 2, 2), "CVE-2025-49844"


def test_s46_one_package_brings_nccl() -> None:
    """That for CUDA 12 has the same files as that for CUDA 13, which torch wants: the last one to come would stay."""
    hashed = (ROOT / "docker" / "worker.hashes.txt").read_text()
    assert re.findall(r"^nvidia-nccl-(\w+)", hashed, re.MULTILINE) == ["cu13"]
    assert "override-dependencies" in (ROOT / "Makefile").read_text(), "`make hashes` would bring it back"
