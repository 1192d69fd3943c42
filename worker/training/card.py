"""The model card: what was trained on what, how well it does, what it must not be trusted with."""

from worker.data.deals import Deal
from worker.training.card_scores import plain
from worker.training.fitting import Fitted
from worker.training.order import TrialOrder
from worker.training.subject import Description


def card_of(order: TrialOrder, description: Description, dealt: Deal, *, fitted: Fitted, sections: list[str]) -> str:
    """Markdown; `sections` are the objective's."""
    spec = order.spec
    counts = ", ".join(f"{len(indices)} {name}" for name, indices in dealt.items())
    digest = order.upload_digest or order.dataset_digest
    dataset = f"`{digest}`: {counts} {description.samples}, {spec.split.strategy} split, seed {spec.seed}"
    course = f"{len(fitted.curve)} epochs, stopped by {fitted.stopped_by}; published is epoch {fitted.best_epoch}"
    facts = {**description.facts, "Dataset": dataset, "Training": course, **description.training}
    lines = [f"- **{name}**: {text}" for name, text in facts.items()]
    title = f"# {plain(spec.name or description.title)}"
    return "\n".join([title, "", *lines, "", *sections])
