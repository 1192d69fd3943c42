"""docker-compose.yml as a document: what a reviewer would look for in each service."""

import pytest

from service.settings import Settings
from service.weak_secrets import weak_secrets
from tests.deployment.compose import Image, Missing, command_of, document, environment_of

SECRETS = {
    "POSTGRES_PASSWORD": "9f2d61a7c03be845",
    "REDIS_PASSWORD": "70c1e5b9a4d2f836",
    "TUNELENS_ADMIN_KEY": "e81b5d20c7f96a3480d4b172",
    "MINIO_ROOT_PASSWORD": "b3a09c5f17e2648d",
}
WRITTEN = document()
SERVICES = document(SECRETS)["services"]
ONE_SHOT = {"migrate"}
OURS = {name for name, service in SERVICES.items() if "build" in service and name != "minio"}


def test_it_has_what_a_deployment_needs() -> None:
    always = {"postgres", "redis", "migrate", "api", "worker-control", "worker-explain"}
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert set(SERVICES) - set(profiles) == always
    assert profiles == {"worker-train": ["cpu"], "worker-train-gpu": ["gpu"], "minio": ["s3"]}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    user = service.get("user") or Image.of(service).user
    assert user.partition(":")[0] not in ("root", "0", "")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
    assert service["init"] is True
    assert not any(volume.startswith(("/", ".")) for volume in service.get("volumes", []))
    assert "latest" not in service["image"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_restarted_watched_and_given_time_to_drain(name: str) -> None:
    service = SERVICES[name]
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


def test_one_port_is_published_on_the_loopback_address() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:8000:8000"]}
    assert WRITTEN["networks"]["backend"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "frontend" in service["networks"]} == {"api"}


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
