"""What a request may ask of a trained model: classes that it has, parameters that belong to the method."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from service.errors import Fault, Invalid


class Parameters(Protocol):
    """What is read of `service.specs.explanations.MethodParameters`."""

    def model_dump(self) -> dict[str, Any]:
        """By name; null where not given."""
        ...


class Asked(Protocol):
    """What is read of `service.specs.explanations.ExplanationSpec`."""

    @property
    def method(self) -> str:
        """How to explain."""
        ...

    @property
    def targets(self) -> str | Sequence[str]:
        """`predicted`, or labels."""
        ...

    @property
    def parameters(self) -> Parameters:
        """Of the method."""
        ...

    @property
    def evaluate(self) -> bool:
        """Whether to judge the explanation."""
        ...

    @property
    def seed(self) -> int:
        """Of whatever is random."""
        ...


def asked_classes(spec: Asked, classes: Sequence[str]) -> list[int] | None:
    """The places of the classes that are named as targets; None where each input's predicted class is meant.

    Raises:
        Invalid: a target is no class of this model.
    """
    if spec.targets == "predicted":
        return None
    places = {label: i for i, label in enumerate(classes)}
    faults = [
        Fault(("targets", i), "unknown-label", "No class of this model has this label.")
        for i, label in enumerate(spec.targets)
        if label not in places
    ]
    if faults:
        raise Invalid("A target is not a class of this model.", errors=faults)
    return [places[label] for label in spec.targets]


def refuse_foreign_method(spec: Asked, known: Collection[str], what: str) -> None:
    """Lets pass the methods that are known for `what`: images, texts.

    Raises:
        Invalid: the method explains something else.
    """
    if spec.method not in known:
        fault = Fault(("method",), "unsupported-method", f"{what} are explained by: {', '.join(sorted(known))}.")
        raise Invalid(f"{spec.method} does not explain {what.lower()}.", errors=[fault])


def refuse_foreign_parameters(spec: Asked, allowed: Mapping[str, frozenset[str]]) -> None:
    """Lets pass what `allowed` names for the method.

    Raises:
        Invalid: a parameter is given that the method does not take.
    """
    given = {name for name, value in spec.parameters.model_dump().items() if value is not None}
    foreign = sorted(given - allowed[spec.method])
    if foreign:
        message = f"This is not a parameter of {spec.method}."
        raise Invalid(
            "A parameter belongs to another method.",
            errors=[Fault(("parameters", name), "foreign-parameter", message) for name in foreign],
        )
