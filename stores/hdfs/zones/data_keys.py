"""Decrypted keys of files, for a while: the parts of a large file do not ask the KMS each. Never tells one in text."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from stores.hdfs.zones.kms_wire import EncryptedKey

KEPT_COUNT = 1024
# So long a user who has lost the right to a key can still read with it.
KEPT_S = 600.0


class DataKeys:
    """Keys by what they are encrypted as. Thread safe; two threads that want the same new key may both ask.

    Memory: at most `KEPT_COUNT` keys, none older than `KEPT_S`.
    """

    def __init__(self, decrypt: Callable[[EncryptedKey], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._decrypt = decrypt
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[EncryptedKey, tuple[float, bytes]] = OrderedDict()

    def get(self, key: EncryptedKey) -> bytes:
        """Returns the decrypted key. Raises what `decrypt` raises; failures are not kept."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and self._clock() < kept[0] + KEPT_S:
                return kept[1]
        found = self._decrypt(key)
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (self._clock(), found)
            self._drop()
        return found

    def clear(self) -> None:
        """Forgets all keys."""
        with self._lock:
            self._kept.clear()

    def _drop(self) -> None:
        """Forgets the oldest beyond the count, and those whose time is over: the first ones are the oldest."""
        now = self._clock()
        while self._kept and (len(self._kept) > KEPT_COUNT or next(iter(self._kept.values()))[0] + KEPT_S <= now):
            self._kept.popitem(last=False)
