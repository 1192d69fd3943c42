"""docker-compose.yml as a document: what a reviewer would look for in each service."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.settings import Settings
from service.weak_secrets import weak_secrets
from tests.architecture.tree import ROOT
from tests.deployment.compose import PUBLISHED, WORKERS, Image, Missing, command_of, document, environment_of
from worker.runtime.devices import visible_devices

SECRETS = {
    "POSTGRES_PASSWORD": "9f2d61a7c03be845",
    "REDIS_PASSWORD": "70c1e5b9a4d2f836",
    "TUNELENS_ADMIN_KEY": "e81b5d20c7f96a3480d4b172",
    "MINIO_ROOT_PASSWORD": "b3a09c5f17e2648d",
}
ELSEWHERE = {
    "DATABASE_URL": "postgresql+psycopg://tunelens:9f2d61a7c03be845@10.0.0.5:5432/tunelens",
    "BROKER_URL": "redis://:70c1e5b9a4d2f836@10.0.0.5:6379/0",
}
WRITTEN = document()
SERVICES = document(SECRETS)["services"]
OTHERS = document(ELSEWHERE, WORKERS)["services"]
ALL = {**SERVICES, **{f"{name} elsewhere": service for name, service in OTHERS.items()}}
ONE_SHOT = {"migrate"}
OURS = {name for name, service in SERVICES.items() if "build" in service and name != "minio"}
ALL_WORKERS = sorted(name for name in ALL if name.startswith("worker-"))
WEIGHTS = {"./weights:/weights:ro", "../weights:/weights:ro"}


def test_it_has_what_a_deployment_needs() -> None:
    always = {"postgres", "redis", "migrate", "api", "worker-control", "worker-explain"}
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert set(SERVICES) - set(profiles) == always
    assert profiles == {"worker-train": ["cpu"], "worker-train-gpu": ["gpu"], "minio": ["s3"]}


@pytest.mark.parametrize("name", ALL)
def test_s45_a_service_is_hardened(name: str) -> None:
    service = ALL[name]
    user = service.get("user") or Image.of(service).user
    assert user.partition(":")[0] not in ("root", "0", "")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
    assert service["init"] is True
    assert {volume for volume in service.get("volumes", []) if volume.startswith(("/", "."))} <= WEIGHTS
    assert service["pids_limit"] > 0
    assert re.fullmatch(r"0|\d+[mg]", service["mem_limit"])


@pytest.mark.parametrize("name", ALL)
def test_a_service_is_restarted_watched_and_given_time_to_drain(name: str) -> None:
    service = ALL[name]
    assert service["restart"] == ("no" if name in ONE_SHOT else "always")
    assert service["stop_grace_period"] == "90s"
    assert ("healthcheck" in service) == (name not in ONE_SHOT)
    if name not in ONE_SHOT:
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", sorted(OURS - ONE_SHOT))
def test_nothing_starts_before_what_it_needs(name: str) -> None:
    needs = {other: needed["condition"] for other, needed in SERVICES[name]["depends_on"].items()}
    assert needs == {
        "postgres": "service_healthy",
        "redis": "service_healthy",
        "migrate": "service_completed_successfully",
    }
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_s44_one_port_is_published_on_the_loopback_address() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:8000:8000"]}
    assert WRITTEN["networks"]["backend"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "frontend" in service["networks"]} == {"api"}


def test_s44_others_are_published_on_an_address_that_has_to_be_given() -> None:
    with pytest.raises(Missing, match="TUNELENS_PRIVATE_ADDRESS"):
        document({}, PUBLISHED)
    published = document({"TUNELENS_PRIVATE_ADDRESS": "10.0.0.5"}, PUBLISHED)
    ports = {"postgres": 5432, "redis": 6379, "minio": 9000}
    assert published["services"] == {
        name: {"ports": [f"10.0.0.5:{port}:{port}"], "networks": ["published"]} for name, port in ports.items()
    }
    assert published["networks"] == {"published": {}}
    assert not any("ports" in service for service in OTHERS.values())


@pytest.mark.parametrize("name", OTHERS)
def test_workers_elsewhere_are_as_they_are_here(name: str) -> None:
    places = {"profiles", "networks", "depends_on", "build", "env_file", "environment", "volumes"}
    other, here = OTHERS[name], SERVICES[name]
    assert {key: other.get(key) for key in other.keys() - places} == {key: here[key] for key in here.keys() - places}
    assert other["build"] == {"context": "..", "dockerfile": here["build"]["dockerfile"]}
    assert other["env_file"] == [{"path": "../tunelens.env", "required": False}]
    assert {volume.removeprefix(".") for volume in other["volumes"]} == set(here["volumes"])
    assert other["environment"].keys() == here["environment"].keys()
    told = {name for name, value in other["environment"].items() if value != here["environment"][name]}
    assert {name for name in told if not name.startswith("AWS_")} == {"DATABASE_URL", "BROKER_URL"}


@pytest.mark.parametrize("missing", ELSEWHERE)
def test_workers_elsewhere_have_to_be_told_where_the_first_machine_is(missing: str) -> None:
    with pytest.raises(Missing, match=missing):
        document(ELSEWHERE | {missing: ""}, WORKERS)


@pytest.mark.parametrize("name", ALL_WORKERS)
def test_a_gpu_is_seen_where_it_may_be_used(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A host's driver shows all containers its GPUs."""
    (tmp_path / "0000:01:00.0").mkdir()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for variable, value in environment_of(ALL[name]).items():
        monkeypatch.setenv(variable, value)
    (device,) = visible_devices(None, 1, tmp_path)
    assert device.name == ("cuda:0" if "gpu" in name else "cpu")


def test_every_setting_can_be_set() -> None:
    """In tunelens.env, unless it is fixed by what is mounted, or set in .env."""
    table = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n\n`docker-compose.yml`")[0]
    names = {name for line in table.splitlines() for name in re.findall(r"`([A-Z_]+)`", line.partition(" | ")[0])}
    assert len(names) > 15
    fixed = {"TUNELENS_DATA_DIR", "TUNELENS_WEIGHTS_DIR", "DATABASE_URL", "BROKER_URL"}
    for service in OURS:
        assert SERVICES[service]["env_file"] == [{"path": "tunelens.env", "required": False}]
        written = WRITTEN["services"][service]["environment"]
        assert {name for name in names & written.keys() if f"${{{name}:" not in written[name]} == fixed


@pytest.mark.parametrize("name", sorted(OURS - {"api", "migrate"}))
def test_weights_are_read_by_workers(name: str) -> None:
    assert "./weights:/weights:ro" in SERVICES[name]["volumes"]
    assert SERVICES[name]["environment"]["TUNELENS_WEIGHTS_DIR"] == "/weights"
    elsewhere = document(SECRETS | {"TUNELENS_WEIGHTS": "/srv/weights"})["services"][name]
    assert "/srv/weights:/weights:ro" in elsewhere["volumes"]


@pytest.mark.parametrize("asked", ["", "ml.example.com", "ml.example.com,models.example.com"])
def test_the_health_check_asks_for_a_host_that_is_allowed(asked: str) -> None:
    api = document(SECRETS | {"TUNELENS_ALLOWED_HOSTS": asked})["services"]["api"]
    allowed = api["environment"]["TUNELENS_ALLOWED_HOSTS"].split(",")
    (url,) = re.findall(r"http://[^']+", " ".join(api["healthcheck"]["test"]))
    assert {str(urlsplit(url).hostname), "localhost", *filter(None, asked.split(","))} <= set(allowed)
    assert "" not in allowed, "a request without a host"


def test_s45_memory_is_limited_where_it_is_asked_for() -> None:
    given = {"TUNELENS_TRAIN_MEMORY": "8g", "TUNELENS_EXPLAIN_MEMORY": "4g"}
    for services in (document(SECRETS | given)["services"], document(ELSEWHERE | given, WORKERS)["services"]):
        limits = {name: service["mem_limit"] for name, service in services.items()}
        assert (limits["worker-train"], limits["worker-train-gpu"], limits["worker-explain"]) == ("8g", "8g", "4g")


def test_the_gpu_profile_trains_like_the_other_one_on_every_gpu() -> None:
    cpu, gpu = SERVICES["worker-train"], SERVICES["worker-train-gpu"]
    assert command_of(gpu) == command_of(cpu)
    devices = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    assert "deploy" not in cpu


def test_the_api_image_has_no_torch() -> None:
    assert {SERVICES[name]["build"]["dockerfile"] for name in ("api", "migrate")} == {"docker/api.Dockerfile"}


@pytest.mark.parametrize("missing", ["POSTGRES_PASSWORD", "REDIS_PASSWORD", "TUNELENS_ADMIN_KEY"])
@pytest.mark.parametrize("empty", [{}, "blank"])
def test_a_missing_secret_stops_compose(missing: str, empty: object) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}
    with pytest.raises(Missing, match=missing):
        document(given | ({missing: ""} if empty else {}))


def settings_of(monkeypatch: pytest.MonkeyPatch, **secrets: str) -> Settings:
    for name, value in environment_of(document(SECRETS | secrets)["services"]["migrate"]).items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_good_secrets_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weak_secrets(settings_of(monkeypatch, ARTIFACTS_URL="s3://tunelens")) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("POSTGRES_PASSWORD", "DATABASE_URL"),
        ("REDIS_PASSWORD", "BROKER_URL"),
        ("TUNELENS_ADMIN_KEY", "TUNELENS_ADMIN_KEY"),
        ("MINIO_ROOT_PASSWORD", "AWS_SECRET_ACCESS_KEY"),
    ],
)
@pytest.mark.parametrize("weak", ["changeme", "passwordpassword", "tunelens", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"])
def test_a_default_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, told: str, weak: str) -> None:
    settings = settings_of(monkeypatch, ARTIFACTS_URL="s3://tunelens", **{name: weak})
    (sentence,) = weak_secrets(settings)
    assert told in sentence
    assert weak not in sentence.lower().replace("tunelens_admin_key", "")


def test_a_server_on_this_machine_is_its_owners_business() -> None:
    for url in ("redis://:dev@127.0.0.1:6379/0", "redis://:dev@localhost/0", "redis://:dev@[::1]/0"):
        assert weak_secrets(Settings(broker_url=url)) == []
    assert weak_secrets(Settings(broker_url="redis://broker/0")) == []
    assert len(weak_secrets(Settings(broker_url="redis://:@broker/0"))) == 1


@pytest.mark.parametrize("mark", "/?#")
@pytest.mark.parametrize(("name", "told"), [("POSTGRES_PASSWORD", "DATABASE_URL"), ("REDIS_PASSWORD", "BROKER_URL")])
def test_a_password_that_ends_its_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, told: str, mark: str
) -> None:
    for password in (f"pa{mark}ss", f"12{mark}34"):
        (sentence,) = weak_secrets(settings_of(monkeypatch, **{name: password}))
        assert told in sentence
        assert password not in sentence
        assert "pa" not in sentence.replace("password", "").replace(" part", "")


def test_addresses_that_cannot_be_read_are_refused_without_their_words() -> None:
    for url in ("redis://:s3cr@redis:port/0", "redis://:s3cr@[redis/0"):
        (sentence,) = weak_secrets(Settings(broker_url=url))
        assert sentence.startswith("BROKER_URL is no address")
        assert "s3cr" not in sentence
    for url in ("s3cr", "postgresql://u:s3cr@db:port/x"):
        (sentence,) = weak_secrets(Settings(database_url=url))
        assert sentence.startswith("DATABASE_URL is no address")
        assert "s3cr" not in sentence


def test_a_good_password_with_slashes_is_taken_where_the_driver_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weak_secrets(settings_of(monkeypatch, POSTGRES_PASSWORD="9f2d61/7c0?be8#5a41")) == []
