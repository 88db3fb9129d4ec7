"""One process of the mover's pool, as the mover calls it: answers, errors, its death and its socket."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from blockferry.errors import BlockferryError
from mover.calls import AskFeatures, Errand, FeaturesKnown, StatSource
from mover.hands import ProcessHand, start_hands
from service import bell
from service.child import accepts
from stores.base import SinkFeatures
from stores.location import HdfsLocation, S3Location
from tests.support.hdfs import HdfsCluster
from tests.support.ports import free_port
from tests.support.processes import wait_for
from tests.support.s3 import SeaweedServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with TemporaryDirectory(prefix="hand-") as folder:
        yield Path(folder)


@pytest.fixture
def process(socket_folder: Path, seaweed: SeaweedServer) -> Iterator[subprocess.Popen[bytes]]:
    """A hand that listens."""
    command = (sys.executable, "-m", "mover.hand", "--listen", address(socket_folder))
    with subprocess.Popen(command, env={**os.environ, **seaweed.environment}, cwd=ROOT) as started:
        try:
            wait_for("the hand", lambda: accepts(address(socket_folder)))
            yield started
        finally:
            started.kill()


def address(folder: Path) -> str:
    return f"unix:{folder}/1"


def errand(hdfs: HdfsCluster, seaweed: SeaweedServer) -> Errand:
    return Errand("run", HdfsLocation((hdfs.namenode,), "/"), S3Location(bucket="none", endpoint=seaweed.endpoint))


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[ProcessHand]:
    """Gives a hand, and closes its connection."""
    hand = ProcessHand(address(folder))
    try:
        yield hand
    finally:
        await hand.close()


def run(folder: Path, use: Callable[[ProcessHand], Awaitable[object]]) -> object:
    async def used() -> object:
        async with connected(folder) as hand:
            return await use(hand)

    return asyncio.run(used())


@pytest.mark.usefixtures("process")
def test_answer_comes_back_whole(socket_folder: Path, hdfs: HdfsCluster, seaweed: SeaweedServer) -> None:
    answer = run(socket_folder, lambda hand: hand.run(AskFeatures(), errand(hdfs, seaweed), {}))
    assert isinstance(answer, FeaturesKnown)
    assert isinstance(answer.features, SinkFeatures)


@pytest.mark.usefixtures("process")
def test_error_of_all_entries_comes_back_as_it_was(socket_folder: Path, seaweed: SeaweedServer) -> None:
    nobody = HdfsLocation((f"127.0.0.1:{free_port()}",), "/")
    lost = Errand("run", nobody, S3Location(bucket="none", endpoint=seaweed.endpoint))

    async def ask_and_stop(hand: ProcessHand) -> None:
        await hand.stop("run")  # it would be tried for minutes
        await hand.run(StatSource("file"), lost, {})

    with pytest.raises(BlockferryError) as caught:
        run(socket_folder, ask_and_stop)
    assert caught.value.reason == "CANCELLED"


def test_death_is_told_and_a_successor_is_found(
    process: subprocess.Popen[bytes], socket_folder: Path, hdfs: HdfsCluster, seaweed: SeaweedServer
) -> None:
    async def lose(hand: ProcessHand) -> str:
        await hand.run(AskFeatures(), errand(hdfs, seaweed), {})
        process.kill()
        process.wait()
        await hand.stop("run")  # never raises
        with pytest.raises(BlockferryError) as caught:
            await hand.run(AskFeatures(), errand(hdfs, seaweed), {})
        return caught.value.reason

    assert run(socket_folder, lose) == "WORKER_LOST"


def test_hand_ends_when_asked_to(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.mark.usefixtures("process")
def test_bell_is_rung_and_all_are_waited_for(
    socket_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = tmp_path / "rung"
    monkeypatch.setenv(bell.HANDS, str(rung))
    (hand,) = start_hands((address(socket_folder),))
    assert isinstance(hand, ProcessHand)
    assert rung.exists()


def test_nobody_listens_in_vain_for_ever(socket_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bell.HANDS, str(tmp_path / "rung"))
    monkeypatch.setattr(bell, "WAIT_S", 0.1)
    with pytest.raises(BlockferryError, match="POOL_FAILED"):
        start_hands((address(socket_folder),))
