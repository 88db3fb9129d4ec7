"""The trees of the comparison: sizes, counts, scale."""

import statistics

import pytest

from bench.workloads import BLOCK, GIB, WORKLOADS, changed, entry_count, large, many, mixed, one, small


def test_the_full_workloads_are_what_their_titles_say() -> None:
    assert [spec.size for spec in large(1.0)] == [BLOCK] * 16
    assert [spec.size for spec in one(1.0)] == [4 * GIB]
    assert [spec.size for spec in small(1.0)] == [4096] * 10_000
    assert entry_count(many(1.0)) == 100_000


def test_mixed_sizes_are_mostly_small_and_sum_up_to_about_a_gib() -> None:
    sizes = [spec.size for spec in mixed(1.0)]
    assert len(sizes) == 2_000
    assert 0.8 * GIB < sum(sizes) <= GIB
    assert statistics.mean(sizes) > 8 * statistics.median(sizes)
    assert mixed(1.0) == mixed(1.0)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_small_scale_keeps_every_workload_runnable(name: str) -> None:
    workload = WORKLOADS[name]
    tree = workload.tree(0.001)
    assert tree and all(spec.path.startswith(f"{workload.root}/") for spec in tree)
    assert sum(spec.size for spec in tree) <= 0.01 * 4 * GIB


@pytest.mark.parametrize("scale", [0.05, 0.5, 2.0])
def test_large_files_scale_by_bytes(scale: float) -> None:
    assert sum(spec.size for spec in large(scale)) == pytest.approx(2 * GIB * scale, rel=0.01)


def test_paths_are_unique() -> None:
    for workload in WORKLOADS.values():
        paths = [spec.path for spec in workload.tree(0.02)]
        assert len(set(paths)) == len(paths)


def test_changed_files_keep_path_and_size_and_have_other_bytes() -> None:
    tree = many(0.1)
    other = changed(tree)
    assert len(other) == len(tree) // 100
    before = {spec.path: spec for spec in tree}
    for spec in other:
        assert (spec.size, spec.seed != before[spec.path].seed) == (before[spec.path].size, True)
