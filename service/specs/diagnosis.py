"""What is said about a finished job: a verdict, what it rests on, and what would help."""

from typing import Annotated, Literal

from pydantic import Field

from service.specs.base import JsonObject, Spec

Verdict = Literal[
    "good_fit",
    "overfitting",
    "underfitting",
    "undertrained",
    "diverged",
    "unstable",
    "leakage_suspected",
    "not_better_than_baseline",
]


class Evidence(Spec):
    """One measure that spoke for or against the verdict; `threshold` is where its meaning changes, if it has one."""

    measure: str
    value: float | None
    threshold: float | None
    comment: str


class Remedy(Spec):
    """One change that is likely to help; `patch` is a merge patch (RFC 7396) on the job's spec."""

    id: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*$")]
    title: str
    rationale: str
    patch: JsonObject


class Diagnosis(Spec):
    """The verdict on a job; `confidence` runs from 0 to 1, remedies stand in the order in which to try them."""

    verdict: Verdict
    confidence: float = Field(ge=0.0, le=1.0)
    summary: str
    evidence: list[Evidence]
    remedies: list[Remedy]
