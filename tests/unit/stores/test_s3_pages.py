"""Pages of ListObjectsV2: read byte for byte, and refused when they may not be whole."""

from urllib.parse import unquote_plus
from xml.etree.ElementTree import ParseError

import pytest

from stores.base import Kind
from stores.s3_pages import KeyPage, PageRequest, parse_page

_ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-11-21T11:49:27.123Z</LastModified>"
    "<ETag>&quot;abc&quot;</ETag><Size>{size}</Size></Contents>"
)


def _xml(
    inner: str, space: str = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', truncated: str = "false"
) -> bytes:
    return f"<ListBucketResult{space}><IsTruncated>{truncated}</IsTruncated>{inner}</ListBucketResult>".encode()


@pytest.mark.parametrize("space", ["", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'])
def test_entries_are_read_with_or_without_a_namespace(space: str) -> None:
    page = parse_page(_xml(_ENTRY.format(key="p/a", size=5) + _ENTRY.format(key="p/b/", size=0), space), "p/")
    file, folder = page.entries
    assert (file.path, file.kind, file.size_bytes, file.version) == ("a", Kind.FILE, 5, "abc")
    assert file.mtime_ms == 1795261767123
    assert (folder.path, folder.kind, folder.size_bytes) == ("b/", Kind.FOLDER, 0)
    assert (page.folders, page.token, page.truncated) == ((), "", False)


@pytest.mark.parametrize("key", ["p%20q", "a+b", "&amp;", "&lt;x&gt;", "&#39;&quot;", "é", "\U0001f600", " a "])
def test_keys_are_read_as_they_are(key: str) -> None:
    unescaped = key.replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'").replace("&quot;", '"')
    (entry,) = parse_page(_xml(_ENTRY.format(key=key, size=1)), "").entries
    assert entry.path == unescaped.replace("&amp;", "&")


def test_encoded_keys_are_decoded_as_aws_encodes_them() -> None:
    page = parse_page(
        _xml(
            _ENTRY.format(key="p/a%0Bb", size=1)
            + _ENTRY.format(key="p/a+%2B%2520", size=1)
            + "<CommonPrefixes><Prefix>p/x+y/</Prefix></CommonPrefixes>"
        ),
        "p/",
        unquote_plus,
    )
    assert [entry.path for entry in page.entries] == ["a\x0bb", "a +%20"]
    assert page.folders == ("x y/",)


def test_the_object_of_the_prefix_itself_is_dropped() -> None:
    page = parse_page(_xml(_ENTRY.format(key="p/", size=0) + _ENTRY.format(key="p/a", size=0)), "p/")
    assert [entry.path for entry in page.entries] == ["a"]
    assert not parse_page(_xml(_ENTRY.format(key="p/", size=0)), "p/").entries


@pytest.mark.parametrize(
    "body",
    [
        b"<ListBucketResult></ListBucketResult>",
        b"<Other><IsTruncated>false</IsTruncated></Other>",
        _xml("", truncated="perhaps"),
        _xml(_ENTRY.format(key="p/a", size="many")),
        _xml(_ENTRY.format(key="q/a", size=1)),
        _xml("<Contents><Key>p/a</Key></Contents>"),
        _xml("<Contents></Contents>"),
    ],
)
def test_a_page_that_is_not_whole_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse_page(body, "p/")


@pytest.mark.parametrize("body", [b"", b"<html>", b"not xml", _xml(_ENTRY.format(key="a\x01", size=1)), _xml("")[:-5]])
def test_a_page_that_is_no_xml_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse_page(body, "")


def _page(*paths: str, token: str = "", folders: tuple[str, ...] = ()) -> KeyPage:
    inner = "".join(_ENTRY.format(key=path, size=1) for path in paths)
    return KeyPage(parse_page(_xml(inner), "").entries, folders, token, True)


def test_the_token_asks_for_the_next_page() -> None:
    request = PageRequest("f/", start_after="a", delimiter="/")
    assert _page("b", token="t").following(request) == PageRequest("f/", token="t", delimiter="/")


def test_without_a_token_the_last_key_does() -> None:
    assert _page("b", "c").following(PageRequest(start_after="a")) == PageRequest(start_after="c")
    assert _page("b", folders=("c/",)).following(PageRequest()) == PageRequest(start_after="c/")


@pytest.mark.parametrize(
    ("page", "request_"),
    [
        (_page(), PageRequest()),
        (_page("a"), PageRequest(start_after="a")),
        (_page("a", token="t"), PageRequest(token="t")),
    ],
)
def test_a_page_that_would_repeat_for_ever_is_refused(page: KeyPage, request_: PageRequest) -> None:
    with pytest.raises(ValueError, match="next one"):
        page.following(request_)
