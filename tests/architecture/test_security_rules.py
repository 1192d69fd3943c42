"""Every rule of the security design that this API can break has a test that carries its number."""

import ast
import re
from collections import Counter

from tests.architecture.tree import ROOT, modules

NUMBERS = (*range(1, 9), *range(12, 31), *range(33, 43), 47)
"""S01-S08, S12-S30, S33-S42 and S47: the others are of deployments, consoles and machines."""


def count_by_rule() -> Counter[int]:
    """How many test functions carry each number: `test_s04_…`, or `test_s24_to_s27_…` for a range."""
    found: Counter[int] = Counter()
    for module in modules("tests"):
        for node in ast.walk(ast.parse((ROOT / module).read_text())):
            if isinstance(node, ast.FunctionDef) and (match := re.match(r"test_s(\d\d)(?:_to_s(\d\d))?_", node.name)):
                found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return found


def test_every_rule_has_a_test_of_its_number() -> None:
    found = count_by_rule()
    assert [f"S{number:02}" for number in NUMBERS if not found[number]] == []
