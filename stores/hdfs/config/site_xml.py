"""One site file, as bytes: its properties and includes, in order (Java: conf.Configuration.Parser). PURE."""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

from blockferry.errors import BlockferryError
from stores.hdfs.config.site import Include, Item, Property, site_error

_FIELDS = ("name", "value", "final")


def parse(content: bytes, file: str) -> tuple[Item, ...]:
    """Returns the properties and includes of one site file in order. `file` is its path, for errors.

    Raises:
        BlockferryError: SITE_FILE_INVALID, with file and line.
    """
    return _Reader(file).read(content)


class _Reader:
    """One file on its way through expat, which tells elements and lines."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._expat = expat.ParserCreate()
        self._expat.StartElementHandler = self._begin
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        self._expat.EntityDeclHandler = self._entity
        self._depth = 0
        self._items: list[list[Item]] = [[]]  # the last one is open; the others wait for the end of a fallback
        self._includes: list[tuple[str, int, tuple[Item, ...] | None]] = []
        self._fields: dict[str, str] | None = None  # of the property that is open
        self._line = 0
        self._text: list[str] | None = None

    def read(self, content: bytes) -> tuple[Item, ...]:
        try:
            self._expat.Parse(content, True)
        except expat.ExpatError as error:
            raise site_error(self._file, error.lineno, f"no XML ({expat.ErrorString(error.code)})") from error
        return tuple(self._items[0])

    def _begin(self, element: str, attributes: dict[str, str]) -> None:
        tag = element.rpartition(":")[2]
        self._depth += 1
        if self._depth == 1 and tag != "configuration":
            raise self._error(f"its outermost element is <{element}>, not <configuration>")
        if tag == "property":
            self._fields, self._line = {key: attributes[key] for key in _FIELDS if key in attributes}, self._here
        elif tag in _FIELDS:
            self._text = []
        elif tag == "include":
            if "href" not in attributes:
                raise self._error("an include without href")
            self._includes.append((attributes["href"], self._here, None))
        elif tag == "fallback" and self._includes:
            self._items.append([])

    def _end(self, element: str) -> None:
        tag = element.rpartition(":")[2]
        self._depth -= 1
        if tag == "property":
            self._keep(self._fields or {})
            self._fields = None
        elif tag in _FIELDS:
            if self._fields is not None and self._text is not None:
                self._fields[tag] = "".join(self._text)
            self._text = None
        elif tag == "fallback" and self._includes:
            href, line, _ = self._includes.pop()
            self._includes.append((href, line, tuple(self._items.pop())))
        elif tag == "include":
            href, line, fallback = self._includes.pop()
            self._items[-1].append(Include(href, self._file, line, fallback))

    def _keep(self, fields: Mapping[str, str]) -> None:
        """Keeps a property; without a name or a value Hadoop takes it for nothing."""
        name = fields.get("name", "").strip()
        if name and "value" in fields:
            is_final = fields.get("final", "").strip() == "true"
            self._items[-1].append(Property(name, fields["value"], is_final, self._file, self._line))

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _entity(self, name: str, *_: object) -> None:
        raise self._error(f"it declares the XML entity {name}, and entities are not read")

    @property
    def _here(self) -> int:
        return self._expat.CurrentLineNumber

    def _error(self, why: str) -> BlockferryError:
        return site_error(self._file, self._here, why)
