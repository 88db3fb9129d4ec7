"""How fast an HDFS tree is listed: entries per CPU second of this process and per second, with block locations (what a
scan uses) and without.

    python -m bench.hdfs_list hdfs://HOST:PORT/folder [--rounds N] [--user NAME]
    python -m bench.hdfs_list --made ENTRIES        no cluster: pages made here, so CPU only

Prints JSON, one line a round. Holds no setup: make the tree before.
"""

from __future__ import annotations

import argparse
import getpass
import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from stores.base import Stat
from stores.hdfs.lookahead import PagesAhead
from stores.hdfs.namenode import NameNodeClient
from stores.hdfs.tree import walk
from stores.hdfs.wire.hdfs_pb2 import LocatedBlocksProto
from stores.hdfs.wire.namenode_pb2 import GetListingResponseProto

_PAGE_ENTRIES = 1000
_REPLICAS = 3


def measure(fetch: Callable[[str, bytes], bytes]) -> dict[str, float]:
    """Lists everything once."""
    pages: PagesAhead[Stat] = PagesAhead(fetch, lambda folder: folder)
    wall_s, cpu_s, entry_count = time.perf_counter(), time.process_time(), 0
    for _ in walk(pages):
        entry_count += 1
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    pages.close()
    return {
        "entries": entry_count,
        "seconds": round(wall_s, 3),
        "cpu_seconds": round(cpu_s, 3),
        "entries_per_s": round(entry_count / wall_s),
        "entries_per_cpu_s": round(entry_count / cpu_s),
        "us_per_entry": round(cpu_s / entry_count * 1e6, 2) if entry_count else 0.0,
    }


def from_cluster(uri: str, user: str, locations: bool) -> Callable[[str, bytes], bytes]:
    """Returns what fetches pages of the tree at `uri`."""
    parts = urlsplit(uri)
    namenode = NameNodeClient((parts.netloc,), user)
    return lambda folder, after: namenode.listing_frame(
        f"{parts.path.rstrip('/')}/{folder}".rstrip("/") or "/", after, locations
    )


def made(entry_count: int, locations: bool) -> Callable[[str, bytes], bytes]:
    """Returns what gives the pages of a folder of one-block files, without any server."""
    frames = [
        made_page(begin, min(begin + _PAGE_ENTRIES, entry_count), entry_count, locations)
        for begin in range(0, entry_count, _PAGE_ENTRIES)
    ]
    return lambda _, after: frames[(int(after[-8:]) + 1) // _PAGE_ENTRIES if after else 0]


def made_page(begin: int, end: int, entry_count: int, locations: bool) -> bytes:
    """Returns one page as a NameNode would send it."""
    answer = GetListingResponseProto()
    answer.dirList.remainingEntries = entry_count - end
    for number in range(begin, end):
        entry = answer.dirList.partialListing.add(
            fileType=2,
            path=b"part-%08d" % number,
            length=1000,
            owner="etl",
            group="staff",
            modification_time=1_700_000_000_000 + number,
            access_time=1_700_000_000_000,
            fileId=16386 + number,
            flags=0,
        )
        entry.permission.perm = 0o644
        if locations:
            entry.locations.CopyFrom(_one_block(number))
    return answer.SerializeToString()


def _one_block(number: int) -> LocatedBlocksProto:
    layout = LocatedBlocksProto(fileLength=1000, underConstruction=False, isLastBlockComplete=True)
    block = layout.blocks.add(offset=0, corrupt=False)
    block.b.poolId, block.b.blockId = "BP-1000000000-10.0.0.1-1700000000000", 1_073_741_825 + number
    block.b.generationStamp, block.b.numBytes = 1001 + number, 1000
    token = block.blockToken
    token.identifier, token.password, token.kind, token.service = b"", b"", "", ""
    for replica in range(_REPLICAS):
        info = block.locs.add(capacity=1 << 43, dfsUsed=1 << 40, location="/default-rack")
        info.id.ipAddr, info.id.hostName = f"10.0.0.{replica}", f"datanode{replica}"
        info.id.datanodeUuid, info.id.xferPort = "0" * 36, 9866
        info.id.infoPort, info.id.ipcPort = 9864, 9867
        block.storageIDs.append("DS-" + "0" * 36)
        block.storageTypes.append(1)
        block.isCached.append(False)
    layout.lastBlock.CopyFrom(block)
    return layout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri", nargs="?", help="hdfs://HOST:PORT/folder")
    parser.add_argument("--made", type=int, metavar="ENTRIES", help="list pages that are made here")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--user", default=getpass.getuser())
    arguments = parser.parse_args()
    if not arguments.uri and not arguments.made:
        parser.error("give an hdfs:// URI, or --made ENTRIES")
    for locations in (True, False):
        if arguments.made:
            fetch = made(arguments.made, locations)
        else:
            fetch = from_cluster(arguments.uri, arguments.user, locations)
        for _ in range(arguments.rounds):
            print(json.dumps({"locations": locations, **measure(fetch)}), flush=True)


if __name__ == "__main__":
    main()
