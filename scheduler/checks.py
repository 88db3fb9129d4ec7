"""Whether what a caller gives has the right form. Asks no store and no worker: reachability is `TestLocation`'s.

Every error is INVALID_ARGUMENT with the coordinate `field`, and says what a good value looks like.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from blockferry.errors import BlockferryError, Whose
from blockferry.v1 import location_pb2, task_pb2

ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
LOCATION_NAME = re.compile(rf"locations/{ID.pattern}")
TASK_NAME = re.compile(rf"tasks/{ID.pattern}")
EXECUTION_NAME = re.compile(rf"tasks/{ID.pattern}/executions/{ID.pattern}")
_HOST_PORT = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENVIRONMENT = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_NAMESERVICE = re.compile(r"[A-Za-z0-9._-]{1,253}")
_PRINCIPAL = re.compile(r"[^@\s\0]{1,256}(@[^@\s\0]{1,256})?")
_WORD = re.compile(r"[A-Za-z0-9_.@+ -]{1,128}")
_URI = re.compile(r"(/|[a-z][a-z0-9+.-]*://).+")
MIN_PART_BYTES = 5 << 20
MAX_PART_BYTES = 5 << 30
MAX_DESCRIPTION = 1000


def invalid(field: str, value: object, cure: str) -> BlockferryError:
    """Returns the error for a value that has not the right form."""
    text = f"{field} is {str(value)[:200]!r}: {cure}"
    return BlockferryError("INVALID_ARGUMENT", text, whose=Whose.CALLER, field=field, value=str(value)[:200])


def check_id(field: str, value: str) -> None:
    """Refuses what cannot be the last part of a resource name."""
    if not ID.fullmatch(value):
        raise invalid(field, value, "it must be 1 to 63 of a-z, 0-9 and -, and not begin with -.")


def check_name(field: str, value: str, pattern: re.Pattern[str]) -> None:
    """Refuses what is no resource name of the kind."""
    if not pattern.fullmatch(value):
        form = {LOCATION_NAME: "locations/{location}", TASK_NAME: "tasks/{task}"}
        wanted = form.get(pattern, "tasks/{task}/executions/{execution}")
        raise invalid(field, value, f"it must have the form {wanted}.")


def check_request_id(value: str) -> None:
    """Refuses a request id that cannot be stored."""
    if len(value) > 100:
        raise invalid("request_id", value, "it must be a UUID.")


def check_location(location: location_pb2.Location) -> None:
    """Refuses a location that no worker could reach."""
    _check_description("location.description", location.description)
    match location.WhichOneof("store"):
        case "hdfs":
            _check_hdfs(location.hdfs)
        case "s3":
            _check_s3(location.s3)
        case _:
            raise invalid("location.store", "", "give hdfs or s3.")


def location_uri(location: location_pb2.Location) -> str:
    """Returns a location as one line."""
    if location.WhichOneof("store") == "hdfs":
        return f"hdfs://{location.hdfs.nameservice or ','.join(location.hdfs.namenodes)}{location.hdfs.root}"
    prefix = location.s3.prefix
    return f"s3://{location.s3.bucket}/{prefix if not prefix or prefix.endswith('/') else prefix + '/'}"


def _check_hdfs(hdfs: location_pb2.HdfsLocation) -> None:
    _check_cluster(hdfs)
    _check_login(hdfs)
    root = hdfs.root
    if not root.startswith("/"):
        raise invalid("location.hdfs.root", root, "it must be an absolute path, e.g. /warehouse.")
    if any(part in (".", "..") for part in root.split("/")) or "//" in root or "\0" in root:
        raise invalid("location.hdfs.root", root, "it must not hold empty parts, `.` or `..`.")
    if hdfs.user and not _WORD.fullmatch(hdfs.user):
        raise invalid("location.hdfs.user", hdfs.user, "it must be a user's name.")


def _check_cluster(hdfs: location_pb2.HdfsLocation) -> None:
    if not hdfs.namenodes and not hdfs.conf_dir:
        cure = "give at least one NameNode as host:port, e.g. nn1:8020, or the folder of site files that name them."
        raise invalid("location.hdfs.namenodes", "", cure)
    for namenode in hdfs.namenodes:
        match = _HOST_PORT.fullmatch(namenode)
        if not match or not 0 < int(match[2]) < 65536:
            raise invalid("location.hdfs.namenodes", namenode, "it must be host:port, e.g. nn1:8020.")
    if hdfs.nameservice and hdfs.namenodes:
        raise invalid("location.hdfs.nameservice", hdfs.nameservice, "give it or namenodes, not both.")
    if hdfs.nameservice and not _NAMESERVICE.fullmatch(hdfs.nameservice):
        raise invalid("location.hdfs.nameservice", hdfs.nameservice, "it must be a logical name, e.g. nameservice1.")
    if hdfs.nameservice and not hdfs.conf_dir:
        raise invalid("location.hdfs.conf_dir", "", "a nameservice is explained by site files: give their folder.")
    if hdfs.kms_uri and not hdfs.kms_uri.startswith("kms://"):
        raise invalid("location.hdfs.kms_uri", hdfs.kms_uri, "it must be like kms://https@kms1:9600/kms.")


def _check_login(hdfs: location_pb2.HdfsLocation) -> None:
    for field in ("conf_dir", "keytab", "krb5_conf"):
        path = getattr(hdfs, field)
        if path and not path.startswith("/"):
            raise invalid(f"location.hdfs.{field}", path, "it must be an absolute path on the workers.")
    if bool(hdfs.principal) != bool(hdfs.keytab):
        missing = "keytab" if hdfs.principal else "principal"
        raise invalid(f"location.hdfs.{missing}", "", "a principal and its keytab are given together.")
    if hdfs.principal and not _PRINCIPAL.fullmatch(hdfs.principal):
        raise invalid("location.hdfs.principal", hdfs.principal, "it must be like name@REALM or name/host@REALM.")
    for field in ("rpc_protection", "transfer_protection"):
        if getattr(hdfs, field) not in location_pb2.HdfsLocation.Protection.values():
            raise invalid(f"location.hdfs.{field}", getattr(hdfs, field), "this version does not know the value.")


def _check_s3(s3: location_pb2.S3Location) -> None:
    if not _BUCKET.fullmatch(s3.bucket) or ".." in s3.bucket or _is_address(s3.bucket):
        cure = "it must be 3 to 63 of a-z, 0-9, - and ., begin and end with a letter or digit, and not be an address."
        raise invalid("location.s3.bucket", s3.bucket, cure)
    _check_prefix(s3.prefix)
    _check_endpoint(s3.endpoint)
    if s3.region and not _WORD.fullmatch(s3.region):
        raise invalid("location.s3.region", s3.region, "it must be a region's name, e.g. us-east-1.")
    if s3.addressing_style not in location_pb2.S3Location.AddressingStyle.values():
        raise invalid("location.s3.addressing_style", s3.addressing_style, "this version does not know the value.")
    if s3.ca_bundle and not s3.ca_bundle.startswith("/"):
        raise invalid("location.s3.ca_bundle", s3.ca_bundle, "it must be an absolute path on the workers.")
    if s3.storage_class and not _WORD.fullmatch(s3.storage_class):
        raise invalid("location.s3.storage_class", s3.storage_class, "it must be a storage class, e.g. STANDARD_IA.")
    _check_credentials(s3.credentials)


def _check_prefix(prefix: str) -> None:
    if prefix.startswith("/"):
        raise invalid("location.s3.prefix", prefix, "it must not begin with a slash.")
    if any(part in (".", "..") for part in prefix.split("/")) or "//" in prefix:
        raise invalid("location.s3.prefix", prefix, "it must not hold empty parts, `.` or `..`.")
    if len(prefix.encode()) > 900:
        raise invalid("location.s3.prefix", prefix, "it must leave room for keys: at most 900 bytes.")


def _check_endpoint(endpoint: str) -> None:
    if not endpoint:
        return
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.username is not None or parts.password is not None:
        # The value itself is not repeated: it holds a secret.
        cure = "it must not hold credentials; give a reference in location.s3.credentials."
        raise invalid("location.s3.endpoint", "(hidden)", cure)
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/") or parts.query:
        raise invalid("location.s3.endpoint", endpoint, "it must be a URL like https://s3.example.com:9000.")


def _is_address(bucket: str) -> bool:
    try:
        ipaddress.ip_address(bucket)
    except ValueError:
        return False
    return True


def _check_credentials(reference: location_pb2.CredentialsReference) -> None:
    field = "location.s3.credentials"
    match reference.WhichOneof("reference"):
        case "profile" if not _WORD.fullmatch(reference.profile):
            raise invalid(f"{field}.profile", reference.profile, "it must be a profile's name.")
        case "environment" if not _ENVIRONMENT.fullmatch(reference.environment):
            cure = "it must be a prefix of variables' names, A-Z, 0-9 and _, e.g. ARCHIVE: never the keys."
            raise invalid(f"{field}.environment", "(hidden)", cure)
        case "file" if not reference.file.startswith("/"):
            raise invalid(f"{field}.file", reference.file, "it must be an absolute path on the workers.")
        case _:
            return


def _check_description(field: str, value: str) -> None:
    if len(value) > MAX_DESCRIPTION:
        raise invalid(field, value, f"it must have at most {MAX_DESCRIPTION} characters.")


def check_task(task: task_pb2.Task) -> None:
    """Refuses a task without good names and options. Whether its locations exist is asked elsewhere."""
    _check_description("task.description", task.description)
    check_name("task.source", task.source, LOCATION_NAME)
    check_name("task.destination", task.destination, LOCATION_NAME)
    if task.source == task.destination:
        raise invalid("task.destination", task.destination, "it must be another location than the source.")
    check_options("task.options", task.options)


def check_direction(source: location_pb2.Location, destination: location_pb2.Location) -> None:
    """Refuses pairs of locations that this version cannot move data between."""
    if source.WhichOneof("store") != "hdfs":
        raise invalid("task.source", source.uri, "this version reads from hdfs locations only.")
    if destination.WhichOneof("store") != "s3":
        raise invalid("task.destination", destination.uri, "this version writes to s3 locations only.")


def check_options(field: str, options: task_pb2.Options) -> None:
    """Refuses options that this version does not know, or that cannot work."""
    for name, kind in (
        ("verify", task_pb2.Options.Verify),
        ("transfer", task_pb2.Options.Transfer),
        ("open_files", task_pb2.Options.OpenFiles),
        ("untrusted_store", task_pb2.Options.UntrustedStore),
    ):
        if getattr(options, name) not in kind.values():
            raise invalid(f"{field}.{name}", getattr(options, name), "this version does not know the value.")
    size = options.part_size_bytes
    if size and not MIN_PART_BYTES <= size <= MAX_PART_BYTES:
        raise invalid(f"{field}.part_size_bytes", size, "it must be 0, or from 5 MiB to 5 GiB.")
    if options.report_uri and not _URI.fullmatch(options.report_uri):
        raise invalid(f"{field}.report_uri", options.report_uri, "it must be an absolute path or a URI.")


def resolved(options: task_pb2.Options, over: task_pb2.Options | None = None) -> task_pb2.Options:
    """Returns the options with those set in `over` in their place, and defaults for what is not set anywhere."""
    result = task_pb2.Options(
        verify=task_pb2.Options.VERIFY_ONLY_FILES_TRANSFERRED,
        transfer=task_pb2.Options.TRANSFER_CHANGED,
        open_files=task_pb2.Options.OPEN_FILES_COPY,
        untrusted_store=task_pb2.Options.UNTRUSTED_STORE_READ_BACK,
    )
    # Merging takes the fields that are set, that is not zero, and leaves the others.
    result.MergeFrom(options)
    if over is not None:
        result.MergeFrom(over)
    return result
