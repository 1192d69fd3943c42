"""What a request for rows may ask of each method."""

from dataclasses import dataclass, fields

from worker.explaining.asking import Asked, refuse_foreign_parameters

ROW_PARAMETERS = {
    "shap": frozenset({"explainer", "evaluations", "background_rows"}),
    "lime": frozenset({"samples", "features", "kernel_width"}),
    "permutation": frozenset({"repeats"}),
}
"""Each method that explains rows, with the parameters that it takes."""


@dataclass(frozen=True)
class RowParameters:
    """The parameters that methods for rows know; null is the default of the method."""

    explainer: str | None = None
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
        refuse_foreign_parameters(spec, ROW_PARAMETERS)
        given = spec.parameters.model_dump()
        return cls(**{field.name: given.get(field.name) for field in fields(cls)})
