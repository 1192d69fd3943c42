"""What a request for rows may ask of each method."""

from dataclasses import dataclass, fields

from service.specs.explanations import METHODS, ExplainerName
from worker.explaining.asking import Asked, refuse_foreign_parameters


@dataclass(frozen=True)
class RowParameters:
    """The parameters that methods for rows know; null is the default of the method."""

    explainer: ExplainerName | None = None
    evaluations: int | None = None
    background_rows: int | None = None
    samples: int | None = None
    features: int | None = None
    kernel_width: float | None = None
    repeats: int | None = None

    @classmethod
    def of(cls, spec: Asked) -> "RowParameters":
        """From a request.

        Raises:
            Invalid: a parameter is given that the method does not take on rows.
        """
        refuse_foreign_parameters(spec, METHODS["tabular"])
        given = spec.parameters.model_dump()
        return cls(**{field.name: given.get(field.name) for field in fields(cls)})
