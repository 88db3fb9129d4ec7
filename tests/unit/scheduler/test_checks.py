"""The form of what callers give."""

from collections.abc import Callable

import pytest

from blockferry.errors import BlockferryError
from blockferry.status import code_of
from blockferry.v1 import location_pb2, task_pb2
from scheduler import checks

Location = location_pb2.Location
Hdfs = location_pb2.HdfsLocation
S3 = location_pb2.S3Location
Credentials = location_pb2.CredentialsReference


def field_of(call: Callable[[], None]) -> str:
    """Returns the field that is blamed."""
    with pytest.raises(BlockferryError) as caught:
        call()
    assert caught.value.reason == "INVALID_ARGUMENT"
    assert code_of(caught.value).name == "INVALID_ARGUMENT"
    assert caught.value.message.endswith(".")
    return caught.value.coordinates["field"]


@pytest.mark.parametrize("name", ["a", "a-b", "0", "x" * 63])
def test_good_ids(name: str) -> None:
    checks.check_id("task_id", name)


@pytest.mark.parametrize("name", ["", "-a", "A", "a_b", "x" * 64, "a/b", "ä", "a\n"])
def test_bad_ids(name: str) -> None:
    assert field_of(lambda: checks.check_id("task_id", name)) == "task_id"


@pytest.mark.parametrize("name", ["", "tasks/", "tasks/a/executions/", "locations/a", "tasks/-", "tasks/a/b"])
def test_bad_task_names(name: str) -> None:
    assert field_of(lambda: checks.check_name("name", name, checks.TASK_NAME)) == "name"


GOOD = (
    Location(hdfs=Hdfs(namenodes=["nn1:8020", "10.0.0.2:8020", "[::1]:8020"], root="/")),
    Location(hdfs=Hdfs(namenodes=["nn1:8020"], root="/a b/%20/ä", user="svc-copy@EXAMPLE")),
    Location(s3=S3(bucket="my.bucket-1")),
    Location(s3=S3(bucket="abc", prefix="a/b c/", endpoint="https://s3.example.com:9000", region="eu-west-1")),
    Location(s3=S3(bucket="abc", endpoint="http://127.0.0.1:8333/", credentials=Credentials(environment="ARCHIVE_2"))),
    Location(s3=S3(bucket="abc", credentials=Credentials(profile="prod"), ca_bundle="/etc/ca.pem")),
    Location(s3=S3(bucket="abc", credentials=Credentials(file="/etc/keys"), storage_class="STANDARD_IA")),
)
BAD = (
    ("location.store", Location()),
    ("location.description", Location(description="x" * 1001, hdfs=Hdfs(namenodes=["n:1"], root="/"))),
    ("location.hdfs.namenodes", Location(hdfs=Hdfs(root="/a"))),
    ("location.hdfs.namenodes", Location(hdfs=Hdfs(namenodes=["nn1"], root="/a"))),
    ("location.hdfs.nameservice", Location(hdfs=Hdfs(namenodes=["n:1"], nameservice="ns", conf_dir="/c", root="/a"))),
    ("location.hdfs.nameservice", Location(hdfs=Hdfs(nameservice="ns:8020", conf_dir="/c", root="/a"))),
    ("location.hdfs.conf_dir", Location(hdfs=Hdfs(namenodes=["n:1"], conf_dir="conf", root="/a"))),
    ("location.hdfs.kms_uri", Location(hdfs=Hdfs(namenodes=["n:1"], kms_uri="https://kms:9600", root="/a"))),
    ("location.hdfs.keytab", Location(hdfs=Hdfs(namenodes=["n:1"], principal="a@R", root="/a"))),
    ("location.hdfs.principal", Location(hdfs=Hdfs(namenodes=["n:1"], keytab="/k", root="/a"))),
    ("location.hdfs.principal", Location(hdfs=Hdfs(namenodes=["n:1"], principal="a b", keytab="/k", root="/a"))),
    ("location.hdfs.krb5_conf", Location(hdfs=Hdfs(namenodes=["n:1"], krb5_conf="krb5.conf", root="/a"))),
    ("location.hdfs.namenodes", Location(hdfs=Hdfs(namenodes=["nn1:0"], root="/a"))),
    ("location.hdfs.namenodes", Location(hdfs=Hdfs(namenodes=["nn1:70000"], root="/a"))),
    ("location.hdfs.namenodes", Location(hdfs=Hdfs(namenodes=["hdfs://nn1:8020"], root="/a"))),
    ("location.hdfs.root", Location(hdfs=Hdfs(namenodes=["nn1:8020"], root="a"))),
    ("location.hdfs.root", Location(hdfs=Hdfs(namenodes=["nn1:8020"]))),
    ("location.hdfs.root", Location(hdfs=Hdfs(namenodes=["nn1:8020"], root="/a/../b"))),
    ("location.hdfs.root", Location(hdfs=Hdfs(namenodes=["nn1:8020"], root="/a//b"))),
    ("location.hdfs.user", Location(hdfs=Hdfs(namenodes=["nn1:8020"], root="/a", user="a\nb"))),
    ("location.s3.bucket", Location(s3=S3())),
    ("location.s3.bucket", Location(s3=S3(bucket="ab"))),
    ("location.s3.bucket", Location(s3=S3(bucket="Abc"))),
    ("location.s3.bucket", Location(s3=S3(bucket="a..b"))),
    ("location.s3.bucket", Location(s3=S3(bucket="-abc"))),
    ("location.s3.bucket", Location(s3=S3(bucket="192.168.0.1"))),
    ("location.s3.bucket", Location(s3=S3(bucket="a" * 64))),
    ("location.s3.prefix", Location(s3=S3(bucket="abc", prefix="/a"))),
    ("location.s3.prefix", Location(s3=S3(bucket="abc", prefix="a/../b"))),
    ("location.s3.prefix", Location(s3=S3(bucket="abc", prefix="a//b"))),
    ("location.s3.prefix", Location(s3=S3(bucket="abc", prefix="ä" * 451))),
    ("location.s3.endpoint", Location(s3=S3(bucket="abc", endpoint="s3.example.com"))),
    ("location.s3.endpoint", Location(s3=S3(bucket="abc", endpoint="ftp://s3.example.com"))),
    ("location.s3.endpoint", Location(s3=S3(bucket="abc", endpoint="http://h:99999"))),
    ("location.s3.endpoint", Location(s3=S3(bucket="abc", endpoint="http://h/path"))),
    ("location.s3.region", Location(s3=S3(bucket="abc", region="eu\n1"))),
    ("location.s3.addressing_style", Location(s3=S3(bucket="abc", addressing_style=9))),  # type: ignore[arg-type]
    ("location.s3.ca_bundle", Location(s3=S3(bucket="abc", ca_bundle="ca.pem"))),
    ("location.s3.storage_class", Location(s3=S3(bucket="abc", storage_class="A\tB"))),
    ("location.s3.credentials.profile", Location(s3=S3(bucket="abc", credentials=Credentials(profile="a\nb")))),
    ("location.s3.credentials.environment", Location(s3=S3(bucket="abc", credentials=Credentials(environment="a/b")))),
    ("location.s3.credentials.file", Location(s3=S3(bucket="abc", credentials=Credentials(file="keys")))),
)


@pytest.mark.parametrize("location", GOOD, ids=range(len(GOOD)))
def test_good_locations(location: location_pb2.Location) -> None:
    checks.check_location(location)


@pytest.mark.parametrize(("field", "location"), BAD, ids=range(len(BAD)))
def test_bad_locations(field: str, location: location_pb2.Location) -> None:
    assert field_of(lambda: checks.check_location(location)) == field


@pytest.mark.parametrize(
    "location",
    [
        Location(s3=S3(bucket="abc", endpoint="https://key:hunter2@s3.example.com")),
        Location(s3=S3(bucket="abc", credentials=Credentials(environment="hunter2/secret"))),
    ],
)
def test_secret_is_refused_and_not_repeated(location: location_pb2.Location) -> None:
    with pytest.raises(BlockferryError) as caught:
        checks.check_location(location)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "uri"),
    [
        (GOOD[1], "hdfs://nn1:8020/a b/%20/ä"),
        (Location(s3=S3(bucket="abc", prefix="a/b")), "s3://abc/a/b/"),
        (Location(s3=S3(bucket="abc", prefix="a/")), "s3://abc/a/"),
        (Location(s3=S3(bucket="abc")), "s3://abc/"),
    ],
)
def test_location_as_one_line(location: location_pb2.Location, uri: str) -> None:
    assert checks.location_uri(location) == uri


def test_task_needs_two_locations() -> None:
    task = task_pb2.Task(source="locations/a", destination="locations/a")
    assert field_of(lambda: checks.check_task(task)) == "task.destination"
    assert field_of(lambda: checks.check_task(task_pb2.Task(source="a"))) == "task.source"


def test_direction_that_is_not_supported_is_refused() -> None:
    assert field_of(lambda: checks.check_direction(GOOD[2], GOOD[2])) == "task.source"
    assert field_of(lambda: checks.check_direction(GOOD[0], GOOD[1])) == "task.destination"
    checks.check_direction(GOOD[0], GOOD[2])


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("part_size_bytes", task_pb2.Options(part_size_bytes=1)),
        ("part_size_bytes", task_pb2.Options(part_size_bytes=-5)),
        ("part_size_bytes", task_pb2.Options(part_size_bytes=(5 << 30) + 1)),
        ("report_uri", task_pb2.Options(report_uri="reports")),
        ("verify", task_pb2.Options(verify=17)),  # type: ignore[arg-type]
        ("untrusted_store", task_pb2.Options(untrusted_store=17)),  # type: ignore[arg-type]
    ],
)
def test_bad_options(field: str, options: task_pb2.Options) -> None:
    assert field_of(lambda: checks.check_options("options", options)) == f"options.{field}"


def test_options_of_a_run_win_and_defaults_fill_the_rest() -> None:
    task = task_pb2.Options(verify=task_pb2.Options.VERIFY_NONE, part_size_bytes=6 << 20, report_uri="/r")
    over = task_pb2.Options(verify=task_pb2.Options.VERIFY_POINT_IN_TIME_CONSISTENT, report_uri="/other")
    assert checks.resolved(task, over) == task_pb2.Options(
        verify=task_pb2.Options.VERIFY_POINT_IN_TIME_CONSISTENT,
        transfer=task_pb2.Options.TRANSFER_CHANGED,
        open_files=task_pb2.Options.OPEN_FILES_COPY,
        untrusted_store=task_pb2.Options.UNTRUSTED_STORE_READ_BACK,
        part_size_bytes=6 << 20,
        report_uri="/other",
    )
