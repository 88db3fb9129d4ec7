"""The objects of a page of ListObjectsV2 without an XML parser, where the page is as plain as stores write it: a
quarter of the cost, and a listing costs little else. PURE. Whatever is not plain is left to `stores.s3_pages`.

Plain is: elements Contents one after the other, with the same space between all of them, which hold the same elements
in the same order, the four that are wanted among them, and no attributes, comments, CDATA sections or keys with
characters that XML forbids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from xml.etree import ElementTree

_BEGIN, _END = "<Contents>", "</Contents>"
_WANTED = ("Key", "ETag", "Size", "LastModified")
_REFERENCE = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+);")
# XML 1.0, production 2; and carriage returns, which it reads as line feeds.
_UNPLAIN = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class QuickPage:
    """What a plain page says of its objects, as columns of equal length, and the document without them."""

    keys: list[str]
    etags: list[str]
    sizes: list[str]
    modified: list[str]
    rest: str


def quick_page(body: bytes) -> QuickPage | None:
    """Returns the objects of a page; None where it is not plain, or has none."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    begin, end, count = text.find(_BEGIN), text.rfind(_END) + len(_END), text.count(_BEGIN)
    first_end = text.find(_END) + len(_END)
    space = text[first_end : text.find("<", first_end)]
    if not 0 <= begin < end or space.strip() or text.count(_END) != count:
        return None
    if text.count(_END + space + _BEGIN, begin, end) != count - 1:
        return None  # what stands between objects must not be lost
    rest = text[:begin] + text[end:]
    # Another encoding would be told in the head; a comment or CDATA section could hold what looks like an element.
    if "<!" in rest or "encoding=" in text[:begin].lower().replace('encoding="utf-8"', ""):
        return None
    shape = _shape(_without_texts(text[begin:first_end]))
    found = shape.findall(text, begin, end) if shape else []
    if shape is None or len(found) != count:
        return None
    places = [shape.groupindex[name] - 1 for name in _WANTED]
    keys, etags, sizes, modified = ([row[place] for row in found] for place in places)
    all_keys = "\n".join(keys)
    if _UNPLAIN.search(all_keys):
        return None
    if "&" in all_keys:
        keys = [text_of(key) for key in keys]
    return QuickPage(keys, _bare(etags), sizes, modified, rest)


def text_of(escaped: str) -> str:
    """Returns a text without the references of XML. Raises ElementTree.ParseError for one that XML does not know."""
    if "&" not in escaped:
        return escaped
    if escaped.count("&") != len(_REFERENCE.findall(escaped)):
        raise ElementTree.ParseError("a reference that XML does not know")
    return ElementTree.fromstring(f"<text>{escaped}</text>").text or ""  # noqa: S314 - checked: no entities but XML's


def _bare(etags: list[str]) -> list[str]:
    """Returns ETags without their quotes, however they are written."""
    bare = _unquoted("\n".join(etags)).split("\n")  # all at once, where none holds what is between them
    if len(bare) != len(etags) or any("&" in etag for etag in bare):
        bare = [text_of(_unquoted(etag)) for etag in etags]
    return [etag.strip('"') for etag in bare]


def _unquoted(escaped: str) -> str:
    return escaped.replace("&#34;", '"').replace("&quot;", '"')


def _without_texts(contents: str) -> str:
    """Returns an element with a dot in the place of each text."""
    return re.sub(r">[^<]*<", ">.<", contents)


@lru_cache(maxsize=64)
def _shape(contents: str) -> re.Pattern[str] | None:
    """Returns what matches every element of the same shape, with a named group for each text that is wanted; None where
    one of them is absent or comes twice."""
    if any(contents.count(f"<{name}>.</{name}>") != 1 for name in _WANTED):
        return None
    pattern = re.escape(contents).replace(r">\.<", ">[^<]*<")
    for name in _WANTED:
        pattern = pattern.replace(f"<{name}>[^<]*</{name}>", f"<{name}>(?P<{name}>[^<]*)</{name}>")
    return re.compile(pattern)
