"""The repository's own Python files, and what they import, by reading them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("service", "worker", "client", "migrations")


def modules(*folders: str) -> list[Path]:
    """All Python files below the folders, relative to the root."""
    return sorted(path.relative_to(ROOT) for folder in folders or PACKAGES for path in (ROOT / folder).rglob("*.py"))


def imports(module: Path) -> Iterator[str]:
    """Every imported module and name as a dotted path, wherever the import stands."""
    for node in ast.walk(ast.parse((ROOT / module).read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
