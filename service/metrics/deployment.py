"""What the rows say of the whole deployment, as Prometheus has it: the same from whichever API process it is asked."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from service.store import Store, UnitOfWork
from service.store.leases import LEASED, LeasedRows
from service.store.workers import SEEN_SECONDS


@dataclass(frozen=True)
class Deployment(Collector):
    """Looks once at each scrape."""

    store: Store

    def describe(self) -> Iterator[Metric]:
        """Nothing before the first scrape, so that to register costs none."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Queues, leases, workers, and what the workers tell of themselves."""
        with self.store.read() as work:
            yield from _queues(work)
            told = work.workers.figures(SEEN_SECONDS)
        yield _workers({worker: queues for worker, (queues, _) in told.items()})
        yield from _merged({worker: text for worker, (_, text) in told.items() if text})


def _queues(work: UnitOfWork) -> Iterator[Metric]:
    depth = GaugeMetricFamily("tunelens_queue_depth", "Rows that wait for a worker.", labels=["kind"])
    oldest = GaugeMetricFamily("tunelens_queue_oldest_seconds", "For how long the first has waited.", labels=["kind"])
    leases = GaugeMetricFamily("tunelens_leases", "Rows that a worker holds.", labels=["kind", "state"])
    for kind in LEASED:
        rows: LeasedRows = getattr(work, kind).leases
        tally = rows.tally()
        depth.add_metric([kind], tally.waiting)
        oldest.add_metric([kind], tally.oldest_seconds)
        leases.add_metric([kind, "live"], tally.held - tally.expired)
        leases.add_metric([kind, "expired"], tally.expired)
    yield from (depth, oldest, leases)


def _workers(queues_of: dict[str, list[str]]) -> Metric:
    family = GaugeMetricFamily("tunelens_workers", "Worker processes that were seen lately.", labels=["queue"])
    for queue in sorted({queue for queues in queues_of.values() for queue in queues}):
        family.add_metric([queue], sum(queue in queues for queues in queues_of.values()))
    return family


def _merged(texts: dict[str, str]) -> list[Metric]:
    """Each worker's own metrics as one family each, told apart by `worker`."""
    families: dict[str, Metric] = {}
    for worker, text in texts.items():
        for found in text_string_to_metric_families(text):
            family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            for sample in found.samples:
                family.samples.append(sample._replace(labels={**sample.labels, "worker": worker}))
    return list(families.values())
