"""Courses made for a verdict get that verdict."""

from collections import Counter

from tests.worker.diagnosing.courses import FAMILIES, SEEDS, synthetic_courses
from worker.diagnosing.diagnosis import diagnose

WANTED_SHARE = 0.9


def test_nine_in_ten_verdicts_are_right_and_no_family_is_missed() -> None:
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for family, verdict, course in synthetic_courses():
        total[family] += 1
        right[family] += diagnose(course).verdict == verdict
    assert total.total() == len(FAMILIES) * SEEDS >= 40
    assert right.total() >= WANTED_SHARE * total.total(), {name: (right[name], total[name]) for name in total}
    assert all(2 * right[name] > total[name] for name in total), right


def test_every_verdict_has_a_family() -> None:
    assert set(FAMILIES.values()) == {
        "good_fit",
        "overfitting",
        "underfitting",
        "undertrained",
        "diverged",
        "unstable",
        "leakage_suspected",
        "not_better_than_baseline",
    }


def test_what_is_said_is_complete_and_in_words() -> None:
    for family, _, course in synthetic_courses():
        diagnosis = diagnose(course)
        assert 0.5 <= diagnosis.confidence <= 1.0
        assert diagnosis.summary.endswith(".")
        assert diagnosis.evidence, family
        names = [evidence.measure for evidence in diagnosis.evidence]
        assert len(names) == len(set(names))
        assert all(evidence.comment.endswith(".") for evidence in diagnosis.evidence)
        assert "nan" not in diagnosis.model_dump_json().lower()
