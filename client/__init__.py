"""The Tunelens client. In use:

```python
with Tunelens("http://127.0.0.1:8000", key) as tunelens:
    dataset = tunelens.upload_dataset("pets.zip", wait_seconds=60)
    job = tunelens.submit_job({"dataset_id": dataset["id"]})
    for event in tunelens.events(job["id"]):
        print(event.message)
```
"""

from client.api import Tunelens
from client.errors import DownloadCorrupt, NotSettled, ProblemError, TunelensError, Unreachable
from client.inputs import Inputs
from client.sse import Event

__all__ = [
    "DownloadCorrupt",
    "Event",
    "Inputs",
    "NotSettled",
    "ProblemError",
    "Tunelens",
    "TunelensError",
    "Unreachable",
]
