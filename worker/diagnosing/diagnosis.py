"""From a course to its diagnosis."""

import math

from service.specs.diagnosis import Diagnosis
from worker.diagnosing import rules
from worker.diagnosing.course import Course
from worker.diagnosing.evidence import evidence_of, explosion
from worker.diagnosing.measures import Measures
from worker.diagnosing.remedies import remedies_for
from worker.diagnosing.rules import Rule
from worker.diagnosing.thresholds import LEAKAGE_CONFIDENCE

RULES: tuple[Rule, ...] = (
    rules.unstable,
    rules.leaking,
    rules.not_better_than_baseline,
    rules.undertrained,
    rules.overfitting,
    rules.underfitting,
    rules.unstable_on_validation,
)
"""What spoils other measures comes first: figures of a swinging course or a leaking split mean little, and a gap
means nothing where nothing was learned. What is still falling has no final gap yet."""

CERTAIN = 0.99
HALF_EPOCHS, HALF_SAMPLES = 3, 30


def diagnose(course: Course) -> Diagnosis:
    """The verdict on a trial, with everything that spoke for or against it, and what to try first.

    Raises:
        Undiagnosable: the trial did not diverge, and has no epochs or no scores.
    """
    finding = rules.diverged(course)
    if finding is not None:
        known = {evidence.measure: evidence for evidence in explosion(course, rules.uninformed_loss(course))}
        confidence = CERTAIN if finding.margin == math.inf else _confidence(finding.margin, len(course.epochs), 1000)
        measures = None
    else:
        measures = Measures.of(course)
        finding = next((found for rule in RULES if (found := rule(measures))), None) or rules.good_fit(measures)
        known = evidence_of(measures)
        confidence = _confidence(finding.margin, len(course.epochs), measures.validation.samples)
    if finding.verdict == "leakage_suspected" and "dataset_leakage_warning" not in finding.leading:
        confidence = min(confidence, LEAKAGE_CONFIDENCE)
    leading = [known[name] for name in finding.leading if name in known]
    return Diagnosis(
        verdict=finding.verdict,
        confidence=round(confidence, 3),
        summary=finding.summary,
        evidence=leading + [evidence for evidence in known.values() if evidence not in leading],
        remedies=remedies_for(finding.verdict, course, measures),
    )


def _confidence(margin: float, epochs: int, samples: int) -> float:
    """From 0.5 at the threshold, where two verdicts are as likely, to 1 far beyond it after many epochs and samples."""
    beyond = 1.0 - math.exp(-max(0.0, margin))
    amount = math.sqrt(epochs / (epochs + HALF_EPOCHS) * samples / (samples + HALF_SAMPLES))
    return 0.5 + 0.5 * beyond * amount
