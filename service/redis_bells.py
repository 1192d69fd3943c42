"""Bells over Redis, for processes of any machine: a ring is a message without content, published to all who listen."""

import logging
import os
import threading
from contextlib import suppress

import redis

log = logging.getLogger(__name__)

PREFIX = "tunelens.bell."
SOCKET_TIMEOUT_SECONDS = 2.0
PING_SECONDS = 10.0
LOOK_SECONDS = 0.5
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


class RedisBell:
    """One channel. Who listens has a thread that subscribes, again and again while Redis is away, and a pipe that
    turns what it hears into something that `select` can wait for.
    """

    def __init__(self, url: str, name: str) -> None:
        self._channel = f"{PREFIX}{name}"
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            health_check_interval=PING_SECONDS,
        )
        self._heard: int | None = None
        self._over = threading.Event()

    def ring(self) -> None:
        """Publishes; waits for a Redis that hangs, but not for long."""
        self.rings()

    def rings(self) -> bool:
        """As `ring`; whether Redis took it."""
        try:
            self._redis.publish(self._channel, b"")
        except (redis.RedisError, OSError) as error:
            log.info("bell not rung: %s", type(error).__name__)
            return False
        return True

    def fileno(self) -> int:
        """The reading end of this process's pipe."""
        if self._heard is None:
            self._heard, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            threading.Thread(target=self._listen, args=(writing,), name=self._channel, daemon=True).start()
        return self._heard

    def quieten(self) -> None:
        """Forgets the rings so far."""
        with suppress(BlockingIOError):
            os.read(self.fileno(), 4096)

    def close(self) -> None:
        """Stops listening; the thread goes by itself, soon."""
        self._over.set()
        if self._heard is not None:
            os.close(self._heard)
            self._heard = None

    def _listen(self, writing: int) -> None:
        pause = FIRST_PAUSE_SECONDS
        try:
            while not self._over.is_set():
                try:
                    with self._redis.pubsub() as subscription:  # type: ignore[no-untyped-call]
                        subscription.subscribe(self._channel)
                        pause = FIRST_PAUSE_SECONDS
                        self._hear(subscription, writing)
                except (redis.RedisError, OSError) as error:
                    log.info("bell not heard: %s", type(error).__name__)
                    self._over.wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        finally:
            os.close(writing)
            self._redis.close()

    def _hear(self, subscription: "redis.client.PubSub", writing: int) -> None:
        """Until the connection breaks. To have subscribed counts as a ring: those before it were missed."""
        while not self._over.is_set():
            if subscription.get_message(timeout=LOOK_SECONDS) is not None:
                with suppress(BlockingIOError, BrokenPipeError):
                    os.write(writing, b"!")
