"""What a Compose file says of a service: its command, its environment, as Compose would make them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.tree import ROOT

FILE = ROOT / "docker-compose.yml"
WORKERS = ROOT / "docker" / "workers.yml"
PUBLISHED = ROOT / "docker" / "published.yml"
VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<rest>(?:[^{}]|\$\{[^{}]*\})*))?\})")


class Missing(ValueError):
    """A variable without which nothing starts."""


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """Compose's interpolation: `${NAME}`, `${NAME:-default}`, `${NAME:?error}` and `$$`."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        given = variables.get(match["name"], "")
        if given or match["how"] is None:
            return given
        if match["how"] == ":?":
            raise Missing(match["rest"])
        return substituted(match["rest"], variables)

    return VARIABLE.sub(value, text)


def document(variables: Mapping[str, str] | None = None, file: Path = FILE) -> dict[str, Any]:
    """The file as data; with variables, what Compose makes of it."""
    parsed = yaml.safe_load(file.read_text())
    return parsed if variables is None else _walk(parsed, variables)


def _walk(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, str):
        return substituted(node, variables)
    if isinstance(node, dict):
        return {key: _walk(value, variables) for key, value in node.items()}
    return [_walk(value, variables) for value in node] if isinstance(node, list) else node


@dataclass(frozen=True)
class Image:
    """What a Dockerfile's last stage says."""

    user: str
    folder: str
    command: list[str]
    environment: dict[str, str]

    @classmethod
    def of(cls, service: Mapping[str, Any]) -> "Image":
        stage = (ROOT / service["build"]["dockerfile"]).read_text().replace("\\\n", " ").rpartition("\nFROM ")[2]
        lines = [line.partition(" ")[::2] for line in stage.splitlines()]
        pairs = [pair.partition("=")[::2] for word, rest in lines if word == "ENV" for pair in rest.split()]
        return cls(
            user=next((rest for word, rest in lines if word == "USER"), "root"),
            folder=next((rest for word, rest in lines if word == "WORKDIR"), "/"),
            command=next(json.loads(rest) for word, rest in lines if word == "CMD"),
            environment=dict(pairs),
        )


def command_of(service: Mapping[str, Any]) -> list[str]:
    """The service's own command, or its image's."""
    command: list[str] = service["command"] if "command" in service else Image.of(service).command
    return command


def environment_of(service: Mapping[str, Any]) -> dict[str, str]:
    """The image's environment under the service's own."""
    base = Image.of(service).environment if "build" in service else {}
    return base | {name: str(value) for name, value in service.get("environment", {}).items()}
