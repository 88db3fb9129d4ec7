"""Which layout counts: the listing's, until the NameNode was asked anew."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.base import Kind, Stat
from stores.hdfs.layouts import KEPT_COUNT, Layouts
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto, LocatedBlocksProto


def layout(*sizes: int, generation: int = 1, first_id: int = 1, host: str = "old", with_tokens: bool = False) -> bytes:
    proto = LocatedBlocksProto(fileLength=sum(sizes), underConstruction=False, isLastBlockComplete=True)
    for index, size in enumerate(sizes):
        block = LocatedBlockProto(offset=sum(sizes[:index]), corrupt=False)
        block.b.poolId, block.b.numBytes = "BP", size
        block.b.blockId, block.b.generationStamp = first_id + index, generation
        token = block.blockToken
        token.identifier, token.password, token.kind, token.service = b"yes" if with_tokens else b"", b"", "", ""
        info = block.locs.add()
        info.id.ipAddr, info.id.hostName, info.id.datanodeUuid = host, host, "u"
        info.id.xferPort, info.id.infoPort, info.id.ipcPort = 1, 2, 3
        proto.blocks.append(block)
    return proto.SerializeToString()


@dataclass
class NameNodeScript:
    """What the NameNode says now, and what it was asked."""

    now: bytes | None
    reason: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)

    def ask(self, path: str, size_bytes: int) -> bytes | None:
        self.asked.append((path, size_bytes))
        if self.reason:
            raise BlockferryError(self.reason, "it said so", retryable=self.reason != "NOT_FOUND")
        return self.now


def file(raw: bytes, size_bytes: int = 10, path: str = "f") -> Stat:
    return Stat(path, Kind.FILE, size_bytes, 0, version="v", layout=raw)


def test_a_listed_layout_asks_nobody() -> None:
    script = NameNodeScript(None)
    blocks = Layouts(script.ask).blocks(file(layout(4, 6)))
    assert [block.extent.size for block in blocks] == [4, 6]
    assert script.asked == []


def test_without_a_layout_the_namenode_is_asked_once() -> None:
    script = NameNodeScript(layout(4, 6))
    layouts = Layouts(script.ask)
    assert layouts.blocks(file(b"")) is layouts.blocks(file(b""))
    assert script.asked == [("f", 10)]


def test_what_was_asked_anew_counts_from_then_on() -> None:
    layouts = Layouts(NameNodeScript(layout(4, 6, host="new")).ask)
    old = layouts.blocks(file(layout(4, 6)))
    now = layouts.renewed(file(layout(4, 6)), old[1])
    assert (now.block_id, now.located.locs[0].id.ipAddr) == (2, "new")
    assert layouts.blocks(file(layout(4, 6)))[0].located.locs[0].id.ipAddr == "new"


@pytest.mark.parametrize(
    "now", [layout(4, 6, generation=2), layout(4, 6, first_id=9), layout(4), layout(10), layout(3, 7), None]
)
def test_other_blocks_are_a_changed_file(now: bytes | None) -> None:
    layouts = Layouts(NameNodeScript(now).ask)
    old = layouts.blocks(file(layout(4, 6)))
    with pytest.raises(BlockferryError) as error:
        layouts.renewed(file(layout(4, 6)), old[1])
    assert (error.value.reason, error.value.whose) == ("SOURCE_CHANGED", Whose.SOURCE)
    found = error.value.coordinates
    assert found["path"] == "f"
    assert set(found) in ({"path"}, {"path", "block_id", "offset"})
    assert (found.get("block_id"), found.get("offset")) in ((None, None), ("2", "4"))


@pytest.mark.parametrize(("reason", "told"), [("NOT_FOUND", "SOURCE_CHANGED"), ("NAMENODE_UNAVAILABLE",) * 2])
def test_a_deleted_file_has_changed_and_a_silent_namenode_says_nothing(reason: str, told: str) -> None:
    with pytest.raises(BlockferryError) as error:
        Layouts(NameNodeScript(None, reason).ask).blocks(file(b""))
    assert (error.value.reason, error.value.retryable) == (told, reason != "NOT_FOUND")


def test_only_so_many_files_are_kept() -> None:
    script = NameNodeScript(layout(10))
    layouts = Layouts(script.ask)
    for number in range(KEPT_COUNT + 1):
        layouts.blocks(file(b"", path=str(number)))
    layouts.blocks(file(b"", path=str(KEPT_COUNT)))
    assert len(script.asked) == KEPT_COUNT + 1
    layouts.blocks(file(b"", path="0"))
    assert len(script.asked) == KEPT_COUNT + 2


def test_many_that_find_one_layout_out_of_date_ask_once() -> None:
    script = NameNodeScript(layout(4, 6, host="new"))
    layouts = Layouts(script.ask)
    stale = layouts.blocks(file(layout(4, 6)))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: layouts.renewed(file(layout(4, 6)), stale[number % 2]), range(32)))
    assert {block.located.locs[0].id.ipAddr for block in found} == {"new"}
    assert script.asked == [("f", 10)]


def test_what_is_out_of_date_again_is_asked_again() -> None:
    script = NameNodeScript(layout(10, host="new"))
    layouts = Layouts(script.ask)
    first = layouts.renewed(file(layout(10)), layouts.blocks(file(layout(10)))[0])
    script.now = layout(10, host="newer")
    assert layouts.renewed(file(layout(10)), first).located.locs[0].id.ipAddr == "newer"


def test_when_tokens_are_needed_listed_layouts_are_not_tried_any_more() -> None:
    script = NameNodeScript(layout(10, with_tokens=True))
    layouts = Layouts(script.ask)
    first, second = file(layout(10)), file(layout(10), path="second")
    layouts.renewed(first, layouts.blocks(first)[0])
    assert layouts.blocks(second)[0].located.blockToken.identifier
    assert layouts.blocks(second) is layouts.blocks(second)
    assert layouts.blocks(file(layout(10, with_tokens=True), path="third"))
    assert script.asked == [("f", 10), ("second", 10)]


def test_many_that_know_no_layout_ask_once() -> None:
    script = NameNodeScript(layout(10))
    layouts = Layouts(script.ask)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: layouts.blocks(file(b"")), range(32)))
    assert len(found) == 32
    assert script.asked == [("f", 10)]
