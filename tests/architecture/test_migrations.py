"""Every migration can be taken back, and together they form one line."""

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, modules

VERSIONS = [
    module for module in modules("migrations") if module.parent.name == "versions" and module.stem != "__init__"
]


def body(module: Path, name: str) -> list[ast.stmt]:
    tree = ast.parse((ROOT / module).read_bytes())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return [node for node in function.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]


@pytest.mark.parametrize("module", VERSIONS, ids=str)
@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
def test_a_migration_goes_both_ways(module: Path, direction: str) -> None:
    statements = body(module, direction)
    assert statements, f"{direction} is empty"
    assert not any(isinstance(node, ast.Pass | ast.Raise) for node in statements)


def test_there_is_one_line_of_migrations() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert len(script.get_heads()) == 1
    assert len(list(script.walk_revisions())) == len(VERSIONS) > 0
