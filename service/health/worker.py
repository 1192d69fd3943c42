"""`python -m service.health.worker`: whether a worker of this machine, or container, has said lately that it lives."""

import socket
import sys

from sqlalchemy.exc import SQLAlchemyError

from service.settings import Settings
from service.store import Store
from service.store.workers import SEEN_SECONDS


def main() -> None:
    """Exits with an error that says what is wrong."""
    settings = Settings()
    store = Store(settings.database_url)
    try:
        with store.read() as work:
            seen = work.workers.seen_on(socket.gethostname(), SEEN_SECONDS)
    except SQLAlchemyError as error:
        sys.exit(f"The database does not answer: {type(error).__name__}.")
    finally:
        store.close()
    if seen == 0:
        sys.exit(f"No worker on {socket.gethostname()} was seen in the last {SEEN_SECONDS:.0f} s.")


if __name__ == "__main__":
    main()
