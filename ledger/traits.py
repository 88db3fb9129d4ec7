"""What was found out about the destination, kept in the ledger (`store.json`), so that the next execution need not try
it again. What cannot be read is not known."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from blockferry.errors import BlockferryError
from ledger.folder import Folder

LOG = logging.getLogger("blockferry.ledger")
_FILE = "store.json"


@dataclass(frozen=True, slots=True)
class Traits:
    """What a destination is like. `lists_changes`: see `stores.change_probe`."""

    lists_changes: bool


def read_traits(uris: Iterable[str]) -> Traits | None:
    """Returns what the first of these ledgers that knows something knows."""
    for uri in uris:
        try:
            said = json.loads(Folder(uri).read(_FILE).to_pybytes())
            return Traits(lists_changes=said["lists_changes"] is True)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, BlockferryError) as error:
            LOG.warning('action="traits_unreadable" error="%s"', error)
    return None


def write_traits(uri: str, traits: Traits) -> None:
    """Writes what was found out. What cannot be written is logged: it is tried again next time."""
    try:
        Folder(uri).write(_FILE, json.dumps(asdict(traits)).encode())
    except (OSError, BlockferryError) as error:
        LOG.warning('action="traits_unwritable" error="%s"', error)
