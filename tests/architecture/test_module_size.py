"""Small modules: at 250 lines a module is asked what its second job is."""

import ast

from tests.architecture.tree import ROOT, modules

MAX_MODULE_LINES = 250
MAX_FUNCTION_LINES = 40


def test_no_module_is_longer_than_250_lines() -> None:
    sizes = {
        module: len((ROOT / module).read_text().splitlines())
        for module in modules("service", "worker", "client", "tests", "benchmarks")
    }
    offenders = [f"{module}: {size} lines" for module, size in sizes.items() if size > MAX_MODULE_LINES]
    assert not offenders, "\n".join(["these modules are too long:", *offenders])


def test_no_function_is_longer_than_40_lines() -> None:
    offenders = []
    for module in modules("service", "worker", "client"):
        for node in ast.walk(ast.parse((ROOT / module).read_bytes())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1 - _docstring_lines(node)
                if lines > MAX_FUNCTION_LINES:
                    offenders.append(f"{module}:{node.lineno} {node.name}: {lines} lines")
    assert not offenders, "\n".join(["these functions are too long:", *offenders])


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Words are free: only code counts."""
    if ast.get_docstring(node) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or 0) - first.lineno + 1
