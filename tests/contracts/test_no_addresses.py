"""No string of a request names a place to fetch from (S37)."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.conftest import Api, problem
from tests.contracts.world import job_spec


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that must not be called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_s37_a_backbone_is_a_name_of_the_catalogue(listener: socket.socket, api: Api) -> None:
    port = listener.getsockname()[1]
    names = [
        "hf-hub:timm/resnet18.a1_in1k",
        "hf_hub:x/y",
        "local-dir:/tmp",
        "local-dir:../../etc",
        f"http://127.0.0.1:{port}/weights.pth",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "s3://bucket/x",
        "/etc/passwd",
        "../resnet18",
        "resnet18.a1_in1k",
        "RESNET18",
        " resnet18",
        "resnet18\n",
        "",
    ]
    for name in names:
        spec = job_spec(api.ours.ids["dataset_id"], backbone={"name": name, "weights": "none"})
        problem(api.call("POST", "/v1/jobs", json=spec), 422, "unknown-backbone")
        override = {"override": {"backbone": {"name": name, "weights": "none"}}}
        answer = api.call("POST", f"/v1/jobs/{api.ours.ids['job_id']}/rerun", json=override)
        problem(answer, 422, "unknown-backbone")
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_s37_other_strings_name_no_place_either(listener: socket.socket, api: Api) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    ours = api.ours.ids
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/v1/jobs", job_spec(url)),
        ("/v1/jobs", job_spec(ours["dataset_id"], training={"optimizer": url})),
        ("/v1/jobs", job_spec(ours["dataset_id"], augmentation={"policy": url})),
        ("/v1/jobs", job_spec(ours["dataset_id"], early_stopping={"monitor": url})),
        (f"/v1/models/{ours['model_id']}/explanations", {"method": url, "dataset_id": ours["dataset_id"]}),
        (f"/v1/models/{ours['model_id']}/predictions", {"dataset_id": url}),
    ]
    for path, body in bodies:
        assert api.call("POST", path, json=body).status_code == 422
    with pytest.raises(BlockingIOError):
        listener.accept()
