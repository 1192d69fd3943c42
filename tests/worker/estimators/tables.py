"""Tables to learn from: every kind of column, with gaps, and a target that depends on them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.specs.tables import ColumnSchema
from worker.data.table import Table, table_of

SCHEMA = (
    ColumnSchema(name="age", kind="numeric"),
    ColumnSchema(name="member", kind="boolean"),
    ColumnSchema(name="colour.of = thing", kind="categorical"),
    ColumnSchema(name="note", kind="text"),
    ColumnSchema(name="seen", kind="datetime"),
)
COLOURS = ["blue", "green", "red"]

_MOMENTS = st.floats(-1e12, 1e12)
_ROW = st.fixed_dictionaries(
    {
        "age": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "member": st.none() | st.sampled_from([0.0, 1.0]),
        "colour.of = thing": st.none() | st.sampled_from([*COLOURS, "", "mauve"]),
        "note": st.none() | st.text(max_size=5),
        "seen": st.none() | _MOMENTS,
    }
)
ROWS = st.lists(_ROW, min_size=1, max_size=12)


def mixed_table(rows: int = 200, seed: int = 0) -> tuple[Table, NDArray[np.float64]]:
    """A table of `SCHEMA` with gaps in it, and the score that its targets are made of."""
    generator = np.random.default_rng(seed)
    age, member = generator.normal(40, 12, rows), generator.integers(0, 2, rows)
    colour, seen = generator.integers(0, 3, rows), 1.6e9 + generator.random(rows) * 1e8
    score = (age - 40) / 12 + member + np.array([-1.5, 0.0, 1.5])[colour] + 0.3 * generator.normal(size=rows)
    gaps = generator.random((rows, 4)) < 0.1
    found: list[dict[str, Any]] = [
        {
            "age": None if gap[0] else float(age[row]),
            "member": None if gap[1] else float(member[row]),
            "colour.of = thing": None if gap[2] else COLOURS[colour[row]],
            "note": f"row {row}",
            "seen": None if gap[3] else float(seen[row]),
        }
        for row, gap in enumerate(gaps)
    ]
    return table_of(SCHEMA, found), score
