"""How a service calls for Ray in a house that starts it only when it is needed. Knows no Ray.

`BLOCKFERRY_RAY_BELL` names a file: whoever wants Ray makes it, and the house starts the head. Where it is not set, Ray
runs already (or `RAY_ADDRESS` is not set either, and the service has one of its own).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from blockferry.errors import BlockferryError
from service.child import accepts

VARIABLE = "BLOCKFERRY_RAY_BELL"
WAIT_S = 60.0
_LOOK_S = 0.05


def ring() -> None:
    """Asks for Ray and returns when its head accepts connections. Blocks.

    Raises:
        BlockferryError: POOL_FAILED after `WAIT_S`.
    """
    bell, address = os.environ.get(VARIABLE), os.environ.get("RAY_ADDRESS", "")
    if not bell:
        return
    Path(bell).touch()
    until = time.monotonic() + WAIT_S
    while not accepts(address):
        if time.monotonic() > until:
            text = (
                f"Ray was asked for and did not listen at {address} within {WAIT_S:.0f} s: see the log of Ray's head."
            )
            raise BlockferryError("POOL_FAILED", text, retryable=True, address=address)
        time.sleep(_LOOK_S)
