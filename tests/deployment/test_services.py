"""The services of docker-compose.yml do their work: one job, from upload to explanation, through all of them."""

from dataclasses import replace

import numpy as np
import pytest

from tests.deployment.compose import WORKERS, document, environment_of
from tests.deployment.deployed import DAEMONS, Deployment, client_of, rows
from tests.live import COLOURS, frozen, learn, square_png, until

pytestmark = pytest.mark.timeout(240)


def test_a_job_goes_through_all_of_them(deployed: Deployment) -> None:
    with client_of(deployed) as client:
        job = client.wait(learn(client, each=12, backbone="simple_nn", epochs=2), timeout_seconds=120)
        assert job["state"] == "succeeded", job
        picture = square_png(np.random.default_rng(11), COLOURS["red"])
        prediction = client.predict(job["model_id"], [picture])
        explanation = client.explain(job["model_id"], [picture], {"method": "shap"})
    assert set(prediction["items"][0]["probabilities"]) == set(COLOURS)
    assert explanation["state"] == "succeeded", explanation
    assert rows(deployed, f"SELECT state FROM trials WHERE job_id = '{job['id']}'") == [("succeeded",)]
    (scheme,) = {row[0].partition(":")[0] for row in rows(deployed, "SELECT location FROM artifacts")}
    assert scheme == "sql"


@pytest.mark.parametrize("name", DAEMONS)
def test_its_own_health_check_says_that_it_is_well(deployed: Deployment, name: str) -> None:
    check = deployed.services[name]["healthcheck"]["test"][1:]
    checked = deployed.run(name, check)
    assert checked.returncode == 0, checked.stderr


def test_the_health_check_tells_of_a_machine_without_workers(deployed: Deployment) -> None:
    program = "import socket; socket.gethostname = lambda: 'elsewhere'; from service.health.worker import main; main()"
    checked = deployed.run("worker-train", ["python", "-c", program])
    assert (checked.returncode, checked.stdout) == (1, "")
    assert "No worker on elsewhere" in checked.stderr


def test_a_second_machine_trains_with_its_own_folders(
    deployed: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """docker/workers.yml, told nothing but where the first one's servers are. Sockets need a short path."""
    folder = tmp_path_factory.mktemp("second")
    first = environment_of(deployed.services["worker-train"])
    told = {name: first[name] for name in ("DATABASE_URL", "BROKER_URL")}
    second = replace(deployed, folder=folder, services=document(told, WORKERS)["services"])
    for name in ("worker-train", "weights"):
        (folder / name).mkdir()
    (folder / "weights" / "vgg19.safetensors").touch()
    with second.another("worker-train"), client_of(deployed) as client:
        until(lambda: {"vgg19": "local"}.items() <= {b["name"]: b["weights"] for b in client.backbones()}.items(), 90.0)
        with frozen(deployed.child("worker-train").pid):
            job = client.wait(learn(client, each=12, backbone="simple_nn", epochs=2), timeout_seconds=120)
    assert job["state"] == "succeeded", job["problem"]
    assert "Traceback" not in second.log("worker-train")
    assert {path.name for path in (folder / "worker-train").iterdir()} >= {"cache", "scratch"}


def test_s45_a_file_in_the_data_folder_is_not_imported(deployed: Deployment) -> None:
    planted = deployed.folder / "worker-train" / "sqlalchemy.py"
    planted.write_text("raise SystemExit('planted')")
    try:
        checked = deployed.run("worker-train", ["python", "-m", "service.health.worker"])
    finally:
        planted.unlink()
    assert checked.returncode == 0, checked.stderr


def test_redis_wants_its_password_and_keeps_nothing(deployed: Deployment) -> None:
    check = deployed.services["redis"]["healthcheck"]["test"][1:]
    assert check == ["redis-cli", "ping"]
    here = ["redis-cli", "-p", str(deployed.redis.port), "ping"]
    assert deployed.run("redis", here).stdout.strip() == "PONG"
    assert "NOAUTH" in deployed.run("redis", here, REDISCLI_AUTH="").stdout
    with deployed.redis.client() as client:
        kept = {name: client.config_get(name)[name] for name in ("save", "appendonly", "maxmemory-policy")}
    assert kept == {"save": "", "appendonly": "no", "maxmemory-policy": "noeviction"}


def test_the_migration_refuses_a_weak_secret_before_it_touches_the_database(deployed: Deployment) -> None:
    refused = deployed.run("migrate", TUNELENS_ADMIN_KEY="changeme", DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert refused.returncode == 1
    assert refused.stderr.strip().startswith("TUNELENS_ADMIN_KEY must be a secret")
