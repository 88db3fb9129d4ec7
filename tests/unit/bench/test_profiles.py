"""What profilers write is read."""

from bench.profiles import functions, libraries, table

RAW = """main (/home/x/run.py:3);move (/home/x/mover/worker.py:10);recv (/usr/lib/python3.11/socket.py:7) 6
main (/home/x/run.py:4);move (/home/x/mover/worker.py:12) 3
main (/home/x/run.py:4);loads (/home/x/.venv/lib/python3.11/site-packages/ray/pickle.py:1) 1
"""
PERF = """# Overhead  Shared Object
    58.43%  libpython3.11.so.1.0
    24.80%  [kernel.kallsyms]
     0.29%  libz.so
"""


def test_samples_are_counted_by_function_not_by_line() -> None:
    total, alone, within = functions(RAW.splitlines(), "/home/x/")
    assert total == 10
    assert alone == {"recv (socket.py)": 6, "move (mover/worker.py)": 3, "loads (ray/pickle.py)": 1}
    assert within["main (run.py)"] == 10
    assert within["move (mover/worker.py)"] == 9


def test_a_table_has_shares_of_all() -> None:
    total, alone, _ = functions(RAW.splitlines(), "/home/x/")
    assert table("itself", total, alone).splitlines()[2] == "| 60.0% | `recv (socket.py)` |"


def test_libraries_below_a_half_percent_are_left_out() -> None:
    assert libraries(PERF) == {"libpython3.11.so.1.0": 584, "[kernel.kallsyms]": 248}
