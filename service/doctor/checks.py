"""The examinations, in the order in which trouble spreads."""

import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from sqlalchemy import select

from service.doctor.findings import Check, Finding, Patient
from service.doctor.reasons import why_not
from service.specs.tasks import QUEUES
from service.store.engine import now_seconds
from service.store.leases import LEASED, LeasedRows
from service.store.migrate import alembic_config
from service.store.workers import SEEN_SECONDS
from service.sweeper import ABANDONED_SECONDS
from service.weak_secrets import weak_secrets

LONG_WAIT_SECONDS = 600.0
SKEW_SECONDS = 30.0
MEMORY_LIMIT, FREE, LEFT_OUT_GPU = "tunelens_memory_limit_bytes", "tunelens_free_bytes", "tunelens_gpu_left_out"
LITTLE_BYTES = 2 * 1024**3
NO_ROOM = "Trials fail when it is full; lower TUNELENS_CACHE_BYTES or make room."
PROBE = b"tunelens doctor\n" * 64


def examine(patient: Patient) -> list[Finding]:
    """All that can be found; what needs the database is left out when it does not answer."""
    found = [finding for check in WITHOUT_DATABASE for finding in _examined(check, patient)]
    if any(finding.level == "wrong" for finding in found if finding.part in ("database", "schema")):
        return found
    return found + [finding for check in WITH_DATABASE for finding in _examined(check, patient)]


def _examined(check: Check, patient: Patient) -> list[Finding]:
    """What one check finds; that it fails is a finding, too."""
    found: list[Finding] = []
    try:
        found.extend(check(patient))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are still looked at
        found.append(why_not(check.__name__, error))
    return found


def secrets(patient: Patient) -> Iterator[Finding]:
    """Could a stranger guess one; can others of this machine read one."""
    weak = weak_secrets(patient.settings)
    for sentence in weak:
        yield Finding("secrets", "wrong", sentence, "Make one with `openssl rand -hex 24`.")
    key_file = patient.settings.data_dir / "admin.key"
    if key_file.exists() and stat.S_IMODE(key_file.stat().st_mode) & 0o077:
        weak.append(str(key_file))
        yield Finding("secrets", "wrong", f"Others can read {key_file}.", f"chmod 600 {key_file}")
    if not weak:
        yield Finding("secrets", "well", "None is weak, none lies open.")


def disk(patient: Patient) -> Iterator[Finding]:
    """Is the data directory writable, and is there room."""
    folder = patient.settings.data_dir
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        yield Finding("disk", "wrong", f"{folder} cannot be written to.", "Set TUNELENS_DATA_DIR, or its owner.")
        return
    free = shutil.disk_usage(folder).free
    says = f"{free / 1024**3:.1f} GiB are free at {folder}."
    if free < LITTLE_BYTES:
        yield Finding("disk", "look", says, NO_ROOM)
    else:
        yield Finding("disk", "well", says)


def database(patient: Patient) -> Iterator[Finding]:
    """Does it answer, does its clock agree with ours, is its schema the newest."""
    engine = patient.store.engine
    with engine.connect() as connection:
        skew = float(connection.execute(select(now_seconds())).scalar_one()) - time.time()
        current = MigrationContext.configure(connection).get_current_revision()
    yield Finding("database", "well", f"{engine.dialect.name} answers.")
    if abs(skew) > SKEW_SECONDS:
        says = f"The database's clock is {skew:+.0f} s from this machine's."
        yield Finding("clock", "look", says, "Leases bear it; times in logs and answers do not agree. Use NTP.")
    newest = ScriptDirectory.from_config(alembic_config(engine)).get_current_head()
    if current == newest:
        yield Finding("schema", "well", f"It is the newest, {newest}.")
    else:
        says = f"It is at {current or 'nothing'}; this release needs {newest}."
        yield Finding("schema", "wrong", says, "python -m service.store.migrate")


def broker(patient: Patient) -> Iterator[Finding]:
    """Does it answer."""
    if patient.nudges.broker_answers():
        yield Finding("broker", "well", "It answers.")
        return
    says = "It does not answer; accepted work is kept and waits."
    yield Finding("broker", "wrong", says, "See that BROKER_URL is right and the server runs.")


def artifacts(patient: Patient) -> Iterator[Finding]:
    """Do bytes come back as they were; how many belong to nobody."""
    kept = patient.artifacts
    probe = kept.write(PROBE, "text/plain")
    same = kept.read_bytes(probe) == PROBE
    kept.delete([probe])
    if not same:
        yield Finding("artifacts", "wrong", "What is read is not what was written.", "Do not trust this storage.")
        return
    with patient.store.read() as work:
        left = work.artifacts.unowned(ABANDONED_SECONDS + 10 * patient.settings.sweep_seconds)
    if left:
        size = sum(artifact.size_bytes for artifact in left) / 1024**2
        says = f"{len(left)} belong to nobody and are still there ({size:.1f} MiB)."
        yield Finding("artifacts", "look", says, "The API and the control workers sweep them; see whether they run.")
    else:
        yield Finding("artifacts", "well", "They can be written and read; none is left over.")


def workers(patient: Patient) -> Iterator[Finding]:
    """Does every queue have one."""
    with patient.store.read() as work:
        queues_of = [queues for queues, _ in work.workers.figures(SEEN_SECONDS).values()]
    for queue in QUEUES:
        count = sum(queue in queues for queues in queues_of)
        if count:
            yield Finding("workers", "well", f"{count} for `{queue}`.")
        else:
            says = f"None for `{queue}` was seen in the last {SEEN_SECONDS:.0f} s."
            yield Finding("workers", "wrong", says, f"python -m worker {queue}")


def devices(patient: Patient) -> Iterator[Finding]:
    """Can torch use every GPU; does some worker have as many as each trial that waits."""
    with patient.store.read() as work:
        wanted, most = work.trials.most_devices_wanted(), work.workers.most_devices()
    for worker, samples in _told(patient, LEFT_OUT_GPU).items():
        for sample in samples:
            says = f"{worker} does without GPU {sample.labels['gpu']}: {sample.labels['fault']}"
            yield Finding("devices", "look", says, "See that this torch knows driver and card; restart the worker.")
    if most is not None and wanted > most:
        says = f"Trials wait for {wanted} devices; no worker has more than {most}."
        yield Finding("devices", "look", says, "Start `python -m worker train` where there are as many, or cancel.")


def memory(patient: Patient) -> Iterator[Finding]:
    """What the workers' children may take of it, as the workers say."""
    for worker, samples in _told(patient, MEMORY_LIMIT).items():
        limits = {sample.labels["of"]: sample.value for sample in samples}
        if not all(limits.values()):
            says = f"Nothing limits what the children of {worker} take."
            yield Finding("memory", "look", says, "Leave TUNELENS_MEMORY_LIMIT_BYTES unset, or set it.")
            continue
        shares = ", ".join(f"{limits[of] / 1024**3:.1f} GiB for {of}" for of in sorted(limits))
        yield Finding("memory", "well", f"A child of {worker} may take {shares}.")


def room(patient: Patient) -> Iterator[Finding]:
    """Is there some where the workers keep their files, as they say: their disks are not always this one."""
    for worker, samples in _told(patient, FREE).items():
        for sample in samples:
            if sample.value < LITTLE_BYTES:
                says = f"{sample.value / 1024**3:.1f} GiB are free at the {sample.labels['folder']} folder of {worker}."
                yield Finding("disk", "look", says, NO_ROOM)


def _told(patient: Patient, name: str) -> dict[str, list[Sample]]:
    """One metric by worker, of the workers that tell it."""
    with patient.store.read() as work:
        texts = {worker: text or "" for worker, (_, text) in work.workers.figures(SEEN_SECONDS).items()}
    told = {
        worker: [
            sample
            for family in text_string_to_metric_families(text)
            if family.name == name
            for sample in family.samples
        ]
        for worker, text in texts.items()
    }
    return {worker: samples for worker, samples in told.items() if samples}


def queues(patient: Patient) -> Iterator[Finding]:
    """Does anything wait for long, or hang on a worker that is gone."""
    calm = True
    for kind in LEASED:
        with patient.store.read() as work:
            rows: LeasedRows = getattr(work, kind).leases
            tally = rows.tally()
        if tally.expired:
            calm = False
            says = f"{tally.expired} {kind} hang on workers that do not renew their leases."
            yield Finding("queues", "look", says, "A sweeper takes them back in a minute; see whether the API runs.")
        if tally.waiting and tally.oldest_seconds > LONG_WAIT_SECONDS:
            calm = False
            says = f"{tally.waiting} {kind} wait, the first for {tally.oldest_seconds / 60:.0f} minutes."
            yield Finding("queues", "look", says, "More workers take more at once.")
    if calm:
        yield Finding("queues", "well", "Nothing waits for long, nothing hangs.")


WITHOUT_DATABASE: Sequence[Check] = (secrets, disk, database, broker)
WITH_DATABASE: Sequence[Check] = (artifacts, workers, devices, memory, room, queues)
