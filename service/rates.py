"""How often an API key may ask, and how much it may hold open: counted in this process, forgotten at its end.

With several API processes each counts for itself, so that the limits of a deployment are theirs added up.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from service.errors import RateLimited, TooManyStreams

KEPT_BUCKETS = 10_000


@dataclass
class Bucket:
    """What a key has left, and when that was counted."""

    left: float
    at: float


@dataclass
class Rates:
    """A token bucket for each key: `requests` at once at most, refilled evenly over `window_seconds`.

    Attributes:
        clock: monotonic, in seconds.
    """

    requests: int
    window_seconds: int
    clock: Callable[[], float]
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def take(self, key_id: str) -> dict[str, str]:
        """Counts one request; the headers that tell what is left (draft-ietf-httpapi-ratelimit-headers-10).

        Raises:
            RateLimited: the bucket is empty.
        """
        now, per_second = self.clock(), self.requests / self.window_seconds
        with self._lock:
            bucket = self._buckets.setdefault(key_id, Bucket(float(self.requests), now))
            bucket.left = min(float(self.requests), bucket.left + (now - bucket.at) * per_second)
            bucket.at = now
            allowed = bucket.left >= 1.0
            bucket.left -= allowed
            left = bucket.left
            if len(self._buckets) > KEPT_BUCKETS:
                self._forget_full(now, per_second)
        if not allowed:
            wait = math.ceil((1.0 - left) / per_second)
            limit = f"{self.requests} requests in {self.window_seconds} seconds"
            raise RateLimited(f"An API key may send {limit}; wait.", retry_after_seconds=wait)
        full_in = math.ceil((self.requests - left) / per_second)
        return {
            "RateLimit-Policy": f'"key";q={self.requests};w={self.window_seconds}',
            "RateLimit": f'"key";r={int(left)};t={full_in}',
        }

    def _forget_full(self, now: float, per_second: float) -> None:
        """A full bucket says no more than none."""
        for key_id, bucket in list(self._buckets.items()):
            if bucket.left + (now - bucket.at) * per_second >= self.requests:
                del self._buckets[key_id]


@dataclass
class Slots:
    """Event streams that a key holds open, `limit` at most."""

    limit: int
    _held: dict[str, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def take(self, key_id: str) -> None:
        """One more; raises `TooManyStreams`."""
        with self._lock:
            held = self._held.get(key_id, 0)
            if held >= self.limit:
                raise TooManyStreams(f"An API key may hold {self.limit} streams open.", retry_after_seconds=1)
            self._held[key_id] = held + 1

    def give_back(self, key_id: str) -> None:
        """One less."""
        with self._lock:
            self._held[key_id] -= 1
            if not self._held[key_id]:
                del self._held[key_id]
