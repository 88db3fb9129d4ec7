"""Locations as people write them: `hdfs://HOST:PORT/path` and `s3://bucket/prefix`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from blockferry.errors import BlockferryError, Whose
from blockferry.v1.location_pb2 import CredentialsReference, HdfsLocation, Location, S3Location

DEFAULT_NAMENODE_PORT = 8020


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """What a URI cannot say. Empty: the default."""

    hdfs_user: str = ""
    s3_endpoint: str = ""
    s3_region: str = ""
    s3_addressing: str = ""
    s3_profile: str = ""
    s3_credentials_env: str = ""
    s3_credentials_file: str = ""
    s3_storage_class: str = ""
    ca_bundle: str = ""


def parse_location(uri: str, options: StoreOptions) -> Location:
    """Returns the location that `uri` names.

    The path is taken byte for byte: nothing in it is decoded, so `%20`, `?` and `#` stand for themselves.

    Raises:
        BlockferryError: INVALID_URI with what is wrong and what is expected.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        raise _invalid(uri, "it has no scheme")
    match scheme:
        case "hdfs":
            return Location(hdfs=_hdfs(uri, rest, options))
        case "s3" | "s3a":
            return Location(s3=_s3(uri, rest, options))
        case _:
            raise _invalid(uri, f"the scheme {scheme!r} is not known")


def _hdfs(uri: str, rest: str, options: StoreOptions) -> HdfsLocation:
    authority, slash, path = rest.partition("/")
    if not authority:
        raise _invalid(uri, "it names no NameNode")
    if not slash:
        raise _invalid(uri, "it names no path (for everything write a slash at its end)")
    namenodes = [_with_default_port(uri, namenode) for namenode in authority.split(",")]
    return HdfsLocation(namenodes=namenodes, root="/" + path.strip("/"), user=options.hdfs_user)


def _with_default_port(uri: str, namenode: str) -> str:
    try:
        parts = urlsplit(f"//{namenode}")
        port = parts.port
    except ValueError:
        raise _invalid(uri, f"{namenode!r} is no HOST:PORT") from None
    if not parts.hostname or "@" in namenode:
        raise _invalid(uri, f"{namenode!r} is no HOST:PORT (give the user by --hdfs-user)")
    return namenode if port else f"{namenode}:{DEFAULT_NAMENODE_PORT}"


def _s3(uri: str, rest: str, options: StoreOptions) -> S3Location:
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise _invalid(uri, "it names no bucket")
    styles = {
        "": S3Location.ADDRESSING_STYLE_UNSPECIFIED,
        "path": S3Location.ADDRESSING_STYLE_PATH,
        "virtual": S3Location.ADDRESSING_STYLE_VIRTUAL,
    }
    location = S3Location(
        bucket=bucket,
        prefix=prefix,
        endpoint=options.s3_endpoint,
        region=options.s3_region,
        addressing_style=styles[options.s3_addressing],
        ca_bundle=options.ca_bundle,
        storage_class=options.s3_storage_class,
    )
    if reference := _credentials(options):
        location.credentials.CopyFrom(reference)
    return location


def _credentials(options: StoreOptions) -> CredentialsReference | None:
    given = {
        "profile": options.s3_profile,
        "environment": options.s3_credentials_env,
        "file": options.s3_credentials_file,
    }
    chosen = {kind: value for kind, value in given.items() if value}
    if len(chosen) > 1:
        names = ", ".join(sorted(chosen))
        text = f"Credentials are given in {len(chosen)} ways ({names}): give one."
        raise BlockferryError("INVALID_CREDENTIALS_REFERENCE", text, whose=Whose.CALLER)
    return CredentialsReference(**chosen) if chosen else None


def _invalid(uri: str, what: str) -> BlockferryError:
    text = f"{uri!r} is no location: {what}. Write hdfs://HOST:PORT/path or s3://bucket/prefix."
    return BlockferryError("INVALID_URI", text, whose=Whose.CALLER, uri=uri)
