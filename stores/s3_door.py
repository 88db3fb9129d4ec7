"""The way into one bucket: the location, its keys and prefix, and the wire that requests take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from blockferry.errors import Whose
from stores.location import S3Location
from stores.naming import key_of
from stores.s3_errors import ObjectPlace
from stores.s3_guard import Guarded
from stores.s3_login import DEFAULT_REGION, authorities_of, credentials_of, root_of, session_of
from stores.s3_wire import Login, Wire


@dataclass(frozen=True, slots=True)
class Door:
    """One bucket with what reaches it. For several threads at once."""

    location: S3Location
    wire: Wire

    def key(self, path: str) -> str:
        """Returns the key of a relative path."""
        return key_of(self.location.prefix, path)

    def at(self, path: str) -> ObjectPlace:
        """Returns the place of a relative path."""
        return replace(self.wire.place, key=self.key(path))

    @property
    def storage_headers(self) -> dict[str, str]:
        """The header that asks for the location's storage class; none when it has none."""
        return {"x-amz-storage-class": self.location.storage_class} if self.location.storage_class else {}


def open_door(location: S3Location, connections: int) -> Door:
    """Finds the keys; sends nothing to the store.

    Raises:
        BlockferryError: INVALID_ENDPOINT, CREDENTIALS_MISSING, TLS_UNTRUSTED.
    """
    place = ObjectPlace(location.endpoint or "https://s3.amazonaws.com", location.bucket)
    if location.endpoint and urlsplit(location.endpoint).scheme not in ("http", "https"):
        text = "The endpoint is no URL: write it with its scheme, such as https://host:port."
        raise place.error("INVALID_ENDPOINT", text, whose=Whose.CALLER)
    with Guarded(place):
        session = session_of(location)
        credentials = credentials_of(session, location)
        login = Login(
            root_of(session, location), location.region or DEFAULT_REGION, credentials, authorities_of(location)
        )
        return Door(location, Wire(login, place, connections))
