"""`tunelens demo`: everything once, over HTTP, on a service of its own: upload, fine-tune, predict, explain, stop."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from client.api import Tunelens
from client.digits import HeldBack, write_digits
from client.embedded import Embedded, is_in_use
from client.errors import Json, ProblemError, TunelensError
from client.figures import metrics_table
from client.progress import JobView, diagnosis_text, watch

WANTED_ACCURACY = 0.97
UPLOAD_WAIT_SECONDS = 60
EXPLANATIONS = {"grad_cam": "3", "shap": "8"}


class DemoFailed(TunelensError):
    """The demo ran, but not to a good end."""


@dataclass(frozen=True)
class Demo:
    """One run of the demo.

    Attributes:
        output: where the pictures, the data directory and the logs go.
        epochs: at most; early stopping may end sooner.
    """

    console: Console
    output: Path
    epochs: int = 10

    def run(self) -> None:
        """Raises `DemoFailed`, or what the client and the supervisor raise."""
        started = time.monotonic()
        data_dir = self.output / "data"
        if is_in_use(data_dir):
            raise DemoFailed(f"Another demo is running in {self.output}; choose another folder with --output.")
        shutil.rmtree(data_dir, ignore_errors=True)
        self.output.mkdir(parents=True, exist_ok=True)
        self._say("Starting the service on SQLite and a file-based broker")
        with self._service(data_dir) as tunelens:
            accuracy = self._through(tunelens)
        self._say(
            f"Everything took {time.monotonic() - started:.0f} s. To look around: tunelens up --data-dir {data_dir}"
        )
        if accuracy < WANTED_ACCURACY:
            raise DemoFailed(f"Test accuracy is {accuracy:.4f}; at least {WANTED_ACCURACY} was expected.")

    def _through(self, tunelens: Tunelens) -> float:
        """The steps in order; returns the accuracy on the test split."""
        dataset, held_back = self._upload(tunelens)
        job = self._fine_tune(tunelens, dataset)
        self._predict(tunelens, job["model_id"], held_back)
        pictures = [
            self._explain(tunelens, job["model_id"], method, next(digit for digit in held_back if digit.label == label))
            for method, label in EXPLANATIONS.items()
        ]
        self._say("What the model is worth: test split, validation split, and always guessing the commonest class")
        self.console.print(metrics_table(job["metrics"]))
        if job["diagnosis"]:
            self._say("How the training went")
            self.console.print(diagnosis_text(job["diagnosis"]))
        lines = [f"[bold]{path}[/bold]  {what}" for path, what in pictures]
        panel = Panel("\n".join(lines), title="Pictures", title_align="left", border_style="green", expand=False)
        self.console.print(panel)
        return float(job["metrics"]["test"]["accuracy"])

    @contextmanager
    def _service(self, data_dir: Path) -> Iterator[Tunelens]:
        """An embedded service on a free port, tended in the background, stopped at the end whatever happens."""
        embedded = Embedded(data_dir, port=0, say=self._say)
        tender = threading.Thread(target=embedded.tend, name="tend", daemon=True)
        try:
            embedded.start()
            tender.start()
            self._say(f"Ready at {embedded.url} after {sum(embedded.phases.values()):.1f} s; logs in {embedded.logs}")
            with Tunelens(embedded.url, embedded.admin_key) as tunelens:
                yield tunelens
        finally:
            if tender.is_alive():
                embedded.supervisor.ask_to_stop()
                tender.join()
            with embedded.supervisor.signals():
                embedded.stop()

    def _upload(self, tunelens: Tunelens) -> tuple[Json, list[HeldBack]]:
        path = self.output / "digits.zip"
        count, held_back = write_digits(path)
        self._say(f"Uploading {count:,} handwritten digits; ten more are held back")
        dataset = tunelens.wait(
            tunelens.upload_dataset(path, name="digits", wait_seconds=UPLOAD_WAIT_SECONDS), timeout_seconds=120
        )
        _expect(dataset, "ready")
        return dataset, held_back

    def _fine_tune(self, tunelens: Tunelens, dataset: Json) -> Json:
        job = tunelens.submit_job(job_spec(dataset["id"], epochs=self.epochs))
        self._say("Fine-tuning tf_efficientnet_lite0 from its ImageNet weights")
        watch(self.console, tunelens.events(job["id"]), JobView(self.epochs))
        job = tunelens.get(job["id"])
        _expect(job, "succeeded")
        return job

    def _predict(self, tunelens: Tunelens, model_id: str, held_back: list[HeldBack]) -> None:
        prediction = tunelens.wait(tunelens.predict(model_id, [digit.png for digit in held_back]), timeout_seconds=120)
        _expect(prediction, "succeeded")
        table = Table("digit", *(digit.label for digit in held_back), header_style="bold", box=None, pad_edge=False)
        items = prediction["items"]
        pairs = list(zip(items, held_back, strict=True))
        verdicts = [Text(item["label"], "green" if item["label"] == digit.label else "red") for item, digit in pairs]
        table.add_row("predicted", *verdicts)
        table.add_row("probability", *(f"{item['probability']:.2f}" for item in items))
        right = sum(item["label"] == digit.label for item, digit in pairs)
        self._say(f"Predicting the ten digits held back: {right} of {len(pairs)} right")
        self.console.print(table)

    def _explain(self, tunelens: Tunelens, model_id: str, method: str, digit: HeldBack) -> tuple[Path, str]:
        """Writes the overlay; returns its path and what it shows."""
        self._say(f"Explaining the {digit.label} with {method}")
        started = time.monotonic()
        explanation = tunelens.wait(
            tunelens.explain(model_id, [digit.large_png], {"method": method}), timeout_seconds=180
        )
        _expect(explanation, "succeeded")
        item = explanation["items"][0]
        path = self.output / f"{method}_overlay.png"
        tunelens.download(item["targets"][0]["overlay_url"], to=path)
        label, probability = item["prediction"]["label"], item["prediction"]["probability"]
        seconds = time.monotonic() - started
        return path, f"why this {digit.label} is read as {label} ({probability:.0%}); {seconds:.1f} s"

    def _say(self, message: str) -> None:
        self.console.print(Text.assemble(("• ", "cyan"), message), soft_wrap=True)


def job_spec(dataset_id: str, *, epochs: int) -> Json:
    """What the demo asks for; the seed makes it the same on every run of one machine."""
    return {
        "dataset_id": dataset_id,
        "name": "digits demo",
        "seed": 0,
        "backbone": {"name": "tf_efficientnet_lite0", "weights": "pretrained", "trainable": "all"},
        "augmentation": {"policy": "light"},
        "training": {"epochs": epochs, "batch_size": 32, "image_size": 64},
        "early_stopping": {"monitor": "validation_loss", "patience": 3},
    }


def _expect(resource: Json, state: str) -> None:
    """Raises `ProblemError` or `DemoFailed` unless the resource is in that state."""
    if resource["state"] == state:
        return
    if resource.get("problem"):
        raise ProblemError(resource["problem"])
    raise DemoFailed(f"{resource['id']} is {resource['state']}, not {state}.")
