"""What all pictures drawn with matplotlib have in common, whatever they show."""

import io

from matplotlib.figure import Figure


def saved(figure: Figure, name: str) -> dict[str, bytes]:
    """`name.png` and `name.svg`; the figure is laid out once, and must not be changed afterwards."""
    files = {f"{name}.png": _written(figure, "png")}
    figure.set_layout_engine("none")  # laid out by now; doing it again would take as long as drawing
    return files | {f"{name}.svg": _written(figure, "svg")}


def as_label(name: str, longest: int) -> str:
    """A name as matplotlib is to write it: at most `longest` characters, and no mathematics to typeset."""
    return (name if len(name) <= longest else name[: longest - 1] + "…").replace("$", r"\$")


def _written(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else None
    figure.savefig(buffer, format=kind, dpi=144, bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()
