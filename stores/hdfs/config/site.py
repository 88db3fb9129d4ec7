"""Hadoop's site files, as bytes: their properties, and what they say together (Java: conf.Configuration). PURE.

Where it matters, it reads as Hadoop does: later files win but over `final`, `${name}` is replaced, old keys stand for
the new ones, and what Hadoop ignores is ignored. Stricter than Hadoop: no XML entities. See `site_folder` for the disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from blockferry.errors import BlockferryError, Whose

# Configuration.MAX_SUBST: so many replacements in one value. A value that refers to itself ends there.
MAX_SUBSTITUTIONS = 20

_VARIABLE = re.compile(r"\$\{([^}$ ]+)\}")
_DURATION = re.compile(r"(\d+)\s*(ns|us|ms|s|m|h|d)?", re.IGNORECASE)
_SIZE = re.compile(r"(\d+)\s*([kmgtpe]?)b?", re.IGNORECASE)
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_POWERS = ("", "k", "m", "g", "t", "p", "e")

# The deprecated keys of HdfsConfiguration and Configuration that a reader asks for by their new names.
_NEW_NAMES = {
    "fs.default.name": "fs.defaultFS",
    "dfs.federation.nameservices": "dfs.nameservices",
    "dfs.socket.timeout": "dfs.client.socket-timeout",
    "dfs.encryption.key.provider.uri": "hadoop.security.key.provider.path",
}


@dataclass(frozen=True, slots=True)
class Property:
    """One property and where it stands. `value` may be a secret: it is not shown."""

    name: str
    value: str = field(repr=False)
    is_final: bool
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Include:
    """An `xi:include`. `fallback` stands for the file when that cannot be read; None: there is none."""

    href: str
    file: str
    line: int
    fallback: tuple[Item, ...] | None


Item = Property | Include


class SiteConfig:
    """What a cluster's site files say. Values come trimmed, with their variables replaced."""

    def __init__(self, properties: Iterable[Property], variables: Mapping[str, str] | None = None) -> None:
        """Merges properties in the order in which they are read.

        Args:
            properties: of all files.
            variables: what `${name}` stands for before any property: `env.NAME` and Java's system properties.
        """
        self._properties: dict[str, Property] = {}
        self._variables = dict(variables or {})
        for each in properties:
            name = _NEW_NAMES.get(each.name, each.name)
            kept = self._properties.get(name)
            if kept is None or not kept.is_final:
                self._properties[name] = each

    def __iter__(self) -> Iterator[str]:
        """Yields the names of all properties, new ones for old ones."""
        return iter(self._properties)

    def __contains__(self, name: str) -> bool:
        return name in self._properties

    def get(self, name: str, default: str = "") -> str:
        """Returns a value; `default` if there is none, or an empty one."""
        found = self._properties.get(name)
        return (self._substituted(found).strip() if found else "") or default

    def strings(self, name: str) -> tuple[str, ...]:
        """Returns the words of a value with commas between."""
        return tuple(word for word in (part.strip() for part in self.get(name).split(",")) if word)

    def flag(self, name: str, default: bool) -> bool:
        """Returns a boolean; what is neither `true` nor `false` is the default, as in Hadoop."""
        return {"true": True, "false": False}.get(self.get(name).lower(), default)

    def count(self, name: str, default: int) -> int:
        """Returns a whole number that is not negative. Raises SITE_FILE_INVALID."""
        said = self.get(name)
        if not said:
            return default
        if not (said.isascii() and said.isdigit()):
            raise self.invalid(name, f"{said!r} is no whole number")
        return int(said)

    def seconds(self, name: str, default_s: float, unit: str = "ms") -> float:
        """Returns a time in seconds, e.g. of `30s`; a number alone is in `unit`. Raises SITE_FILE_INVALID."""
        said = self.get(name)
        if not said:
            return default_s
        if not (match := _DURATION.fullmatch(said)):
            raise self.invalid(name, f"{said!r} is no time: give a number with ns, us, ms, s, m, h or d")
        return int(match[1]) * _UNIT_S[(match[2] or unit).lower()]

    def size_bytes(self, name: str, default: int) -> int:
        """Returns a size, e.g. of `128m`: units are powers of 1024. Raises SITE_FILE_INVALID."""
        said = self.get(name)
        if not said:
            return default
        if not (match := _SIZE.fullmatch(said)):
            raise self.invalid(name, f"{said!r} is no size: give a number of bytes, or one with k, m, g, t, p or e")
        return int(match[1]) << 10 * _POWERS.index(match[2].lower())

    def place(self, name: str) -> str:
        """Returns where a property stands, as `FILE:LINE`; empty if nowhere."""
        found = self._properties.get(name)
        return f"{found.file}:{found.line}" if found else ""

    def invalid(self, name: str, why: str) -> BlockferryError:
        """Returns the error about a property's value."""
        found = self._properties.get(name)
        return site_error(found.file if found else "", found.line if found else 0, f"the value of {name}: {why}", name)

    def _substituted(self, found: Property) -> str:
        text = found.value
        for _ in range(MAX_SUBSTITUTIONS + 1):
            for match in _VARIABLE.finditer(text):
                if (value := self._variable(match[1])) is not None:
                    text = text[: match.start()] + value + text[match.end() :]
                    break
            else:
                return text
        why = f"more than {MAX_SUBSTITUTIONS} variables are replaced in it; it may refer to itself"
        raise self.invalid(_NEW_NAMES.get(found.name, found.name), why)

    def _variable(self, name: str) -> str | None:
        if (value := self._variables.get(name)) is not None:
            return value
        if name.startswith("env."):
            for mark in (":-", "-"):  # ${env.NAME:-word}: also when NAME is empty
                variable, found, word = name.partition(mark)
                if found:
                    value = self._variables.get(variable)
                    return word if value is None or (mark == ":-" and not value) else value
        found_property = self._properties.get(_NEW_NAMES.get(name, name))
        return found_property.value if found_property else None


def site_error(file: str, line: int, why: str, name: str = "") -> BlockferryError:
    """Returns the error about a place in a site file."""
    return BlockferryError(
        "SITE_FILE_INVALID",
        f"{file}:{line}: {why}. Correct the file, or give the folder with the cluster's own client configuration.",
        whose=Whose.CALLER,
        file=file,
        line=line,
        property=name,
    )
