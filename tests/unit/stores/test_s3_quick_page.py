"""Plain pages of a listing, read without an XML parser: just what the parser says, or nothing."""

from __future__ import annotations

from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores import s3_pages
from stores.base import Stat, sink_row
from stores.s3_pages import parse_page, stretch_of
from stores.s3_quick_page import quick_page, text_of

# As SeaweedFS, versitygw and the null sink write them; rclone puts every element on a line of its own.
SEAWEED = (
    "<Contents><Key>{key}</Key><ETag>&#34;{etag}&#34;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass>"
    "<LastModified>2026-11-21T17:58:45Z</LastModified></Contents>"
)
VERSITYGW = (
    "<Contents><LastModified>2026-11-21T17:58:50Z</LastModified><ChecksumType></ChecksumType>"
    "<ETag>&quot;{etag}&quot;</ETag><Key>{key}</Key><Size>{size}</Size></Contents>"
)
PLAIN = (
    "<Contents><Key>{key}</Key><LastModified>2026-11-21T17:58:52.120Z</LastModified><ETag>{etag}</ETag>"
    "<Size>{size}</Size><Owner><ID>1</ID><DisplayName>a</DisplayName></Owner></Contents>"
)
LINES = PLAIN.replace("><", ">\n    <") + "\n  "
SPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
KEYS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\t&<>\"'%/a"), min_size=1, max_size=8)


def page(contents: str, space: str = SPACE, head: str = HEAD) -> bytes:
    return f"{head}<ListBucketResult{space}><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>".encode()


def entries(body: bytes, prefix: str = "") -> list[Stat]:
    return list(parse_page(body, prefix, seen=7).entries)


def entries_by_xml(body: bytes, prefix: str = "") -> list[Stat]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3_pages, "quick_page", lambda body: None)
        return entries(body, prefix)


@settings(deadline=None)
@given(
    form=st.sampled_from([SEAWEED, VERSITYGW, PLAIN, LINES]),
    keys=st.lists(KEYS, min_size=1, max_size=5),
    size=st.integers(0, 1 << 50),
    space=st.sampled_from(["", SPACE]),
)
def test_a_plain_page_says_what_its_xml_says(form: str, keys: list[str], size: int, space: str) -> None:
    body = page("".join(form.format(key="p/" + escape(key), etag="abc-1", size=size) for key in keys), space)
    assert quick_page(body) is not None or any(mark in "".join(keys) for mark in "\ufffe\uffff")
    found = entries(body, "p/")
    assert found == entries_by_xml(body, "p/")
    stretch = stretch_of(parse_page(body, "p/").entries)
    assert list(stretch.paths) == [stat.path for stat in found]
    assert list(stretch.rows) == [sink_row(stat) for stat in found]
    assert [stretch.stat_at(index) for index in range(len(found))] == found


ONE, TWO = (PLAIN.format(key=key, etag="e", size=1) for key in ("a", "b"))


@pytest.mark.parametrize(
    "contents",
    [
        ONE + "<!-- -->" + TWO,
        ONE + TWO.replace("<Key>b", "<Key><![CDATA[b]]>"),
        ONE + TWO.replace("<ETag>e</ETag>", ""),
        ONE + TWO.replace("<Size>1</Size>", "").replace("<Key>", "<Size>1</Size><Key>"),
        ONE + "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>" + TWO,
        ONE + "<IsTruncated>true</IsTruncated></Contents>" + TWO,
        ONE + "lost" + TWO,
        ONE + TWO.replace("<Key>", '<Key lang="en">'),
        ONE.replace("a</Key>", "\ra</Key>"),
        ONE.replace("<Key>a</Key>", "<Key/>") + TWO,
        ONE.replace("<Size>1</Size>", "<Size>1</Size><Size>1</Size>"),
        "",
    ],
)
def test_what_is_not_plain_is_left_to_xml(contents: str) -> None:
    assert quick_page(page(contents)) is None


def test_common_prefixes_around_the_objects_are_kept() -> None:
    found = parse_page(page("<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>" + ONE + TWO), "")
    assert (found.folders, len(found.entries)) == (("c/",), 2)


@pytest.mark.parametrize(
    "body", [page(ONE, head='<?xml version="1.0" encoding="latin-1"?>'), page(ONE)[:-5], b"\xff", b""]
)
def test_another_encoding_or_half_a_page_is_not_taken_for_a_plain_one(body: bytes) -> None:
    quick = quick_page(body)
    if quick is not None:
        with pytest.raises(ParseError):
            parse_page(body, "")


def test_keys_with_forbidden_characters_are_no_xml() -> None:
    with pytest.raises(ParseError):
        parse_page(page(ONE.replace("<Key>a", "<Key>a\x01")), "")


@pytest.mark.parametrize("escaped", ["&unknown;", "&", "a&b", "&#;"])
def test_references_that_xml_does_not_know_are_refused(escaped: str) -> None:
    with pytest.raises(ParseError):
        text_of(escaped)
