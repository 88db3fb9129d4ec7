"""The files on the DataNodes' disks that hold the units of erasure-coded block groups."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.hdfs import HdfsCluster


@dataclass(frozen=True, slots=True)
class UnitFile:
    """One unit of a block group: on which DataNode, and in which file."""

    datanode: str
    file: Path

    def flip(self, place: int) -> None:
        """Flips a bit of the byte at `place`; once more makes it good again."""
        with self.file.open("r+b") as file:
            file.seek(place)
            (byte,) = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ 1]))


def unit_files(cluster: HdfsCluster, path: str, group: int = 0) -> dict[int, UnitFile]:
    """Returns the units of one of a file's block groups by their numbers, data first; empty ones have no file."""
    group_id = _number(cluster.block_names(path)[group])
    found = {
        _number(file.name) - group_id: UnitFile(node, file)
        for node in cluster.datanodes
        for file in cluster.block_files(node)
        if 0 <= _number(file.name) - group_id < 16  # the numbers of a group's units are 16 apart from the next group's
    }
    return dict(sorted(found.items()))


def _number(name: str) -> int:
    return int(name.removeprefix("blk_"))
