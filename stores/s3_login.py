"""How a location is logged in to: its access keys, its authorities, its URL.

No secret is kept, shown or logged here: keys go from where they are into botocore's credentials object, whose text does
not show them.
"""

from __future__ import annotations

import os
import ssl
from configparser import ConfigParser, Error
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore import httpsession
from botocore.config import Config
from botocore.credentials import Credentials

from blockferry.errors import BlockferryError, Whose
from stores.location import CredentialsKind, CredentialsReference, S3Location

DEFAULT_REGION = "us-east-1"
_SYSTEM_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_CURE = "Correct it on the worker, or give the location another credentials reference."


def session_of(location: S3Location) -> boto3.Session:
    """Returns a session with the location's keys.

    Raises:
        BlockferryError: CREDENTIALS_MISSING, with the place that was looked at.
        botocore.exceptions.BotoCoreError: the profile does not exist or cannot be read.
    """
    region = location.region or DEFAULT_REGION
    match location.credentials.kind:
        case CredentialsKind.DEFAULT_CHAIN:
            return boto3.Session(region_name=region)
        case CredentialsKind.PROFILE:
            return boto3.Session(profile_name=location.credentials.value, region_name=region)
        case CredentialsKind.ENVIRONMENT:
            names, values = _environment(location.credentials.value), dict(os.environ)
        case CredentialsKind.FILE:
            names, values = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), _file(location)
    missing = [name for name in names[:2] if not values.get(name)]
    if missing:
        raise _missing(location.credentials, f"{' and '.join(missing)} not set")
    access, secret, token = (values.get(name) or None for name in names)
    return boto3.Session(access, secret, token, region_name=region)


def credentials_of(session: boto3.Session, location: S3Location) -> Credentials:
    """Returns the keys that requests are signed with (they may refresh themselves).

    Raises:
        BlockferryError: CREDENTIALS_MISSING.
    """
    found = session.get_credentials()
    if found is None:
        raise _missing(location.credentials, "neither variables, nor profile, nor instance role were found")
    return found


def root_of(session: boto3.Session, location: S3Location) -> str:
    """Returns the URL of the bucket, without a slash at its end.

    An endpoint is taken as it is given; only for AWS itself (and virtual-hosted style) is botocore asked, which loads
    its model of S3 for that: 0.2 s and 30 MB.
    """
    if location.endpoint and location.path_style is not False:
        return f"{location.endpoint.rstrip('/')}/{location.bucket}"
    config = Config(s3={"addressing_style": "path" if location.path_style else "virtual"})
    client = session.client("s3", endpoint_url=location.endpoint or None, config=config)
    url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": location.bucket, "Key": "k"}))
    client.close()
    return f"{url.scheme}://{url.netloc}{url.path.removesuffix('/k')}"


def authorities_of(location: S3Location) -> str:
    """Returns the file of the authorities that are trusted: the location's, that of AWS_CA_BUNDLE, the system's.

    Raises:
        BlockferryError: TLS_UNTRUSTED, the file does not exist on this worker.
    """
    asked = location.ca_bundle or os.environ.get("AWS_CA_BUNDLE", "")
    if asked and not Path(asked).is_file():
        text = f"The CA bundle {asked} is no file on this worker: copy it there, or correct the location (--ca-bundle)."
        raise BlockferryError("TLS_UNTRUSTED", text, whose=Whose.CALLER, ca_bundle=asked)
    system = (ssl.get_default_verify_paths().cafile or "", *_SYSTEM_AUTHORITIES)
    found = (file for file in (asked, *system) if file and Path(file).is_file())
    return next(found, "") or str(httpsession.where())


def _environment(prefix: str) -> tuple[str, str, str]:
    return f"{prefix}_ACCESS_KEY_ID", f"{prefix}_SECRET_ACCESS_KEY", f"{prefix}_SESSION_TOKEN"


def _file(location: S3Location) -> dict[str, str]:
    """Returns the section `default` of the location's credentials file."""
    try:
        text = Path(location.credentials.value).read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise _missing(location.credentials, f"the file cannot be read ({error.strerror})") from error
    parser = ConfigParser(interpolation=None)
    if not _parsed(parser, text):
        raise _missing(location.credentials, "the file is no AWS credentials file")
    if "default" not in parser:
        raise _missing(location.credentials, "the file has no section [default]")
    return dict(parser["default"])


def _parsed(parser: ConfigParser, text: str) -> bool:
    """Returns whether it could be read. The parser's own errors quote the line, which may be a secret: none leaves."""
    try:
        parser.read_string(text)
    except Error:
        return False
    return True


def _missing(reference: CredentialsReference, what: str) -> BlockferryError:
    where = f"{reference.kind.value.lower().replace('_', ' ')} {reference.value}".strip()
    text = f"No access key for the store ({where}): {what}. {_CURE}"
    return BlockferryError("CREDENTIALS_MISSING", text, whose=Whose.CALLER, credentials=where)
