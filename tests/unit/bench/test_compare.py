"""The command line of the comparison, and differences of counters."""

import argparse

import pytest

from bench.compare import arguments_of, chosen
from bench.peers import OURS, PEERS
from bench.stage import Counts, difference
from bench.workloads import WORKLOADS


def test_all_is_everything_in_its_order() -> None:
    asked = arguments_of([])
    assert (asked.workloads, asked.peers) == (tuple(WORKLOADS), tuple(PEERS))
    assert asked.peers[0] == OURS


def test_what_uses_an_earlier_copy_comes_after_it_whatever_the_order_on_the_line() -> None:
    assert chosen("changed,large,unchanged", WORKLOADS, "workload") == ("large", "unchanged", "changed")


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no peer cp: choose of blockferry, rclone"):
        chosen("rclone,cp", PEERS, "peer")


def test_counters_are_differences_and_operations_that_did_not_happen_are_left_out() -> None:
    before = Counts({"S3": 1.0}, {"calls": 5}, {"S3 bytes": 1}, {"PutObject": 2, "HeadObject": 1})
    after = Counts({"S3": 3.5}, {"calls": 5}, {"S3 bytes": 4}, {"PutObject": 2, "HeadObject": 4, "GetObject": 1})
    assert difference(before, after) == Counts(
        {"S3": 2.5}, {"calls": 0}, {"S3 bytes": 3}, {"HeadObject": 3, "GetObject": 1}
    )
