"""From a posted spec to what will happen."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from service.errors import Conflict, Fault, Invalid, TargetInvalid, UnknownBackbone, UnknownReference
from service.jobs.costs import check_budget, cost_of
from service.jobs.idle_fields import idle_fields, overruled
from service.jobs.schemas import CostEstimate, JobPlan, SampledTrial
from service.problems import invalid_body
from service.specs.archive_paths import show_path
from service.specs.augmentation import NEEDED_BY
from service.specs.backbones import CATALOGUE, weights_known
from service.specs.datasets import SPLITS, Modality, Warning
from service.specs.jobs import NETWORK_PROBLEMS, JobSpec, SplitSpec
from service.specs.points import early_params, trials_planned
from service.specs.resolving import DatasetFacts, resolve
from service.specs.search_space import edges_of
from service.specs.space_faults import space_faults
from service.specs.split_columns import split_columns
from service.store import UnitOfWork
from service.store.tables import DatasetRow

SMALL_TRAIN_SPLIT = 100
SHOWN_TRIALS = 5


@dataclass(frozen=True)
class Plan:
    """A resolved spec with the dataset it trains on."""

    spec: JobSpec
    dataset: DatasetRow
    warnings: list[Warning]
    facts: DatasetFacts

    def to_body(self) -> JobPlan:
        """As `dry_run` answers."""
        return JobPlan(spec=self.spec, trials=self.cost.trials, first_trials=_first_trials(self.spec),
                       warnings=self.warnings, cost=self.cost)  # fmt: skip

    @property
    def cost(self) -> CostEstimate:
        """At most."""
        return cost_of(self.spec, self.facts)


def plan(work: UnitOfWork, project_id: str, spec: JobSpec) -> Plan:
    """Checks a spec against what is at hand, and resolves it.

    Raises:
        UnknownReference: no such dataset in this project.
        Conflict: the dataset is not ready.
        TargetInvalid: the dataset does not have what the problem or the split needs.
        UnknownBackbone: not in the catalogue, or its weights are not at hand.
        Invalid: the spec does not fit the dataset, or the search space the spec, or no worker has what an augmentation
            needs, or as many devices.
        BudgetExceeded: as `check_budget`.
    """
    dataset = work.datasets.hold(project_id, spec.dataset_id)
    if dataset is None:
        fault = Fault(("body", "dataset_id"), "unknown-reference", "no such dataset")
        raise UnknownReference("The dataset is unknown.", errors=[fault])
    if dataset.state != "ready":
        raise Conflict(f"The dataset is `{dataset.state}`; a job can use it once it is `ready`.")
    facts = DatasetFacts.of(dataset.modality, dataset.profile or {})
    _check_problem(spec, dataset.modality, facts)
    _check_split(spec.split, dataset, facts)
    resolved = _resolved(spec, facts)
    if resolved.backbone is not None:
        _check_backbone(work, resolved)
    _check_space(work, resolved)
    _check_augmentation(work, resolved)
    remarks = [*_warnings(resolved, facts), *overruled(spec, resolved), *_check_devices(work, resolved)]
    planned = Plan(resolved, dataset, remarks, facts)
    check_budget(planned.cost)
    return planned


def _check_problem(spec: JobSpec, modality: Modality, facts: DatasetFacts) -> None:
    """Whether what is asked for can be learned from such a dataset."""
    if spec.problem is not None and spec.problem not in facts.problems:
        fault = Fault(("body", "problem"), "other-problem", f"the dataset has: {', '.join(facts.problems)}")
        raise TargetInvalid(f"A dataset of modality `{modality}` and this target has no such problem.", errors=[fault])
    has_backbone = facts.problems[0] in NETWORK_PROBLEMS
    field, other = ("estimator", "backbone") if has_backbone else ("backbone", "estimator")
    if getattr(spec, field) is not None:
        fault = Fault(("body", field), "other-modality", f"a dataset of modality {modality} takes a {other}")
        raise Invalid(f"`{field}` does not go with the dataset.", errors=[fault])


def _resolved(spec: JobSpec, facts: DatasetFacts) -> JobSpec:
    try:
        return resolve(spec, facts)
    except ValidationError as error:
        raise invalid_body(error) from error


def _check_space(work: UnitOfWork, spec: JobSpec) -> None:
    faults = space_faults(spec)
    if faults:
        paths = ", ".join(".".join(map(str, fault.loc[1:])) for fault in faults[:3])
        raise Invalid(f"{len(faults)} part(s) of the search space are not valid: {paths}.", errors=faults[:100])
    names = spec.tuning.space.get("backbone.name") if spec.tuning else None
    for name in (names.choices if names else None) or []:
        _check_backbone(work, spec.model_copy(update={"backbone": spec.network.model_copy(update={"name": name})}))


def _first_trials(spec: JobSpec) -> list[SampledTrial]:
    """Those that do not wait for results of others."""
    known = [(number, early_params(spec, number)) for number in range(min(SHOWN_TRIALS, trials_planned(spec)))]
    return [SampledTrial(number=number, params=dict(params)) for number, params in known if params is not None]


def _check_split(split: SplitSpec, dataset: DatasetRow, facts: DatasetFacts) -> None:
    if split.strategy == "predefined" and not facts.has_predefined_split:
        rule = "the archive has no train/validation/test folders"
        if dataset.modality != "image":
            rule = "only archives of images name splits; take stratified, random, group or time"
        fault = Fault(("body", "split", "strategy"), "predefined", rule)
        raise TargetInvalid("The dataset predefines no split.", errors=[fault])
    if split.strategy not in ("group", "time"):
        return
    field = f"{split.strategy}_column"
    columns = split_columns(dataset.modality, dataset.profile or {})
    column = next((one for one in columns if one.name == getattr(split, field)), None)
    where = ("body", "split", field)
    if column is None:
        known = ", ".join(show_path(one.name) for one in columns[:10]) or "none"
        fault = Fault(where, "unknown-column", f"columns of the dataset: {known}")
        raise TargetInvalid("The dataset has no such column.", errors=[fault])
    if split.strategy == "group" and column.distinct + column.missing < len(SPLITS):
        fault = Fault(where, "too-few-groups", f"at least {len(SPLITS)} groups are needed, one for each part")
        raise TargetInvalid("The column has too few groups.", errors=[fault])
    if split.strategy == "time" and column.first_without_time is not None:
        path = show_path(column.first_without_time)
        message = f"every sample needs a number, or every one an ISO 8601 date; the first without is {path}"
        raise TargetInvalid("The column does not order the samples.", errors=[Fault(where, "no-time", message)])


def _check_backbone(work: UnitOfWork, spec: JobSpec) -> None:
    at_hand = weights_known(work.workers.weights())
    fitting = sorted(name for name, other in CATALOGUE.items() if other.problem == spec.problem)
    usable = [name for name in fitting if at_hand[name] != "none"]
    entry = CATALOGUE.get(spec.network.name)
    where = ("body", "backbone", "name")
    if entry is None or entry.problem != spec.problem:
        fault = Fault(where, "unknown-backbone", f"one of: {', '.join(fitting)}")
        raise UnknownBackbone(f"The catalogue has no such backbone for {spec.problem}.", errors=[fault])
    wants_weights = (spec.network.weights or "pretrained") == "pretrained" and entry.has_pretrained_weights
    has_tokenizer = entry.source == "transformers"  # which comes with the weights, and is needed without them too
    if (wants_weights or has_tokenizer) and at_hand[entry.name] == "none":
        scratch = "" if has_tokenizer else "; weights 'none' trains from scratch"
        message = f"pretrained weights at hand: {', '.join(usable)}{scratch}"
        detail = "The backbone's pretrained weights are not at hand here."
        raise UnknownBackbone(detail, errors=[Fault(where, "weights-not-at-hand", message)])


def _check_augmentation(work: UnitOfWork, spec: JobSpec) -> None:
    """Whether a worker that trains has what changes of texts need."""
    at_hand = work.workers.weights()
    faults = []
    for name, (needs, rule) in NEEDED_BY.items():
        is_used = any(edges_of(spec, f"augmentation.{name}"))
        if is_used and at_hand.get(needs, "none") == "none":
            faults.append(Fault(("body", "augmentation", name), "not-at-hand", rule))
    if faults:
        raise Invalid("No worker has what the augmentation needs.", errors=faults)


def _check_devices(work: UnitOfWork, spec: JobSpec) -> list[Warning]:
    """Whether a worker has so many; a warning where none is known."""
    wanted, most = spec.limits.devices, work.workers.most_devices()
    if wanted == 1 or (most is not None and wanted <= most):
        return []
    if most is None:
        message = f"No worker is known yet; the job waits for one with {wanted} devices."
        return [Warning(code="devices-not-seen", message=message)]
    fault = Fault(("body", "limits", "devices"), "too-many-devices", f"the workers have {most} at most")
    raise Invalid("No worker has as many devices.", errors=[fault])


def _warnings(spec: JobSpec, facts: DatasetFacts) -> Iterator[Warning]:
    if spec.backbone is not None:
        entry = CATALOGUE[spec.backbone.name]
        if spec.backbone.weights == "none" and spec.backbone.trainable != "all":
            yield Warning(code="random-frozen-backbone", message="A backbone without weights stays partly random.")
        if spec.training.warmup_epochs == 0 and entry.architecture in ("vit", "swin") and spec.training.epochs > 1:
            yield Warning(code="no-warm-up", message="Transformers usually train better with warmup_epochs > 0.")
    yield from idle_fields(spec)
    train = round(facts.samples * (1 - spec.split.validation - spec.split.test))
    if train < SMALL_TRAIN_SPLIT:
        yield Warning(code="few-samples", message=f"Only about {train} samples are left to train on.")
