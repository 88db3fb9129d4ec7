"""The tree of a trace, from the lines of a trace file."""

import json

from tools.span_tree import largest_trace, read_spans, tree_lines


def _line(name: str, span: str, parent: str | None, begin: int, *, trace: str = "0xa", status: str = "UNSET") -> str:
    return json.dumps(
        {
            "name": name,
            "context": {"trace_id": trace, "span_id": span, "trace_state": "[]"},
            "kind": "SpanKind.INTERNAL",
            "parent_id": parent,
            "start_time": f"2026-01-01T00:00:{begin:02}.000000Z",
            "end_time": f"2026-01-01T00:00:{begin + 1:02}.500000Z",
            "status": {"status_code": status},
            "attributes": {"shard": "000001", "rpc.method": "hidden"},
            "events": [],
            "links": [],
            "resource": {"attributes": {"service.name": "mover"}, "schema_url": ""},
        }
    )


def test_children_stand_below_their_parent_in_order_of_time() -> None:
    lines = (
        _line("late", "3", "1", 5),
        _line("root", "1", None, 0),
        _line("early", "2", "1", 1),
        _line("leaf", "4", "2", 2),
    )
    shown = [line.split()[3] for line in tree_lines(read_spans(lines), "0xa")]
    assert shown == ["root", "early", "leaf", "late"]


def test_a_line_tells_seconds_service_and_attributes() -> None:
    (line,) = tree_lines(read_spans([_line("move object", "1", None, 0)]), "0xa")
    assert line == "    1.500 s mover          move object  shard=000001"


def test_many_siblings_of_one_name_are_counted() -> None:
    lines = [_line("root", "r", None, 0), *(_line("move object", str(i), "r", i) for i in range(7))]
    shown = list(tree_lines(read_spans(lines), "0xa"))
    assert len(shown) == 5
    assert shown[-1].strip() == "... 7 x move object in all"


def test_a_failed_span_is_always_shown() -> None:
    lines = [_line("root", "r", None, 0), *(_line("move", str(i), "r", i) for i in range(6))]
    lines.append(_line("move", "bad", "r", 9, status="ERROR"))
    assert "move FAILED" in list(tree_lines(read_spans(lines), "0xa"))[-1]


def test_a_span_whose_parent_is_missing_becomes_a_root() -> None:
    assert len(list(tree_lines(read_spans([_line("orphan", "1", "gone", 0)]), "0xa"))) == 1


def test_a_line_cut_short_is_left_out() -> None:
    whole = _line("root", "1", None, 0)
    assert len(read_spans([whole, whole[:50]])) == 1


def test_the_largest_trace_is_found() -> None:
    lines = (_line("a", "1", None, 0, trace="0xb"), _line("b", "2", None, 0), _line("c", "3", "2", 0))
    assert largest_trace(read_spans(lines)) == "0xa"
