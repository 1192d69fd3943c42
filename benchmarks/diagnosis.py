"""How often the diagnosis says of synthetic courses what they were made to show: a confusion table."""

from collections import Counter
from typing import get_args

from service.specs.diagnosis import Verdict
from tests.worker.diagnosing.courses import synthetic_courses
from worker.diagnosing.diagnosis import diagnose

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
CELL = 10


def main() -> None:
    cells: Counter[tuple[Verdict, Verdict]] = Counter()
    wrong = []
    for family, made_for, course in synthetic_courses():
        diagnosis = diagnose(course)
        cells[made_for, diagnosis.verdict] += 1
        if diagnosis.verdict != made_for:
            wrong.append(f"{family}: {diagnosis.verdict} ({diagnosis.confidence:.2f})")
    print("made for \\ said".ljust(26) + "".join(verdict[: CELL - 1].rjust(CELL) for verdict in VERDICTS))
    for made_for in VERDICTS:
        print(made_for.ljust(26) + "".join(str(cells[made_for, said] or ".").rjust(CELL) for said in VERDICTS))
    right = sum(count for (made_for, said), count in cells.items() if made_for == said)
    print(f"\n{right} of {cells.total()} right ({right / cells.total():.1%})")
    print(*(f"wrong  {line}" for line in wrong), sep="\n")


if __name__ == "__main__":
    main()
