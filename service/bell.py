"""How a service calls for processes that a house starts only when they are needed. Knows neither Ray nor hands.

A variable of the environment names a file: whoever wants the processes makes it, and the house starts them. Where the
variable is not set they run already, or are none of the house's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from blockferry.errors import BlockferryError
from service.child import accepts

RAY = "BLOCKFERRY_RAY_BELL"
HANDS = "BLOCKFERRY_HANDS_BELL"
WAIT_S = 60.0
_LOOK_S = 0.02


def ring_for_ray() -> None:
    """Asks for the head at `RAY_ADDRESS`: see `ring`."""
    ring(RAY, (os.environ.get("RAY_ADDRESS", ""),))


def ring(variable: str, addresses: Sequence[str]) -> None:
    """Asks for what a variable stands for (`RAY`, `HANDS`) and returns when it accepts connections at all addresses.
    Blocks.

    Raises:
        BlockferryError: POOL_FAILED after `WAIT_S`.
    """
    bell = os.environ.get(variable)
    if not bell:
        return
    Path(bell).touch()
    until = time.monotonic() + WAIT_S
    for address in addresses:
        while not accepts(address):
            if time.monotonic() > until:
                text = (
                    f"Nobody listened at {address} within {WAIT_S:.0f} s of being asked for: see the logs of the house."
                )
                raise BlockferryError("POOL_FAILED", text, retryable=True, address=address)
            time.sleep(_LOOK_S)
