"""Where access keys are found, and that none is ever shown. Nothing is sent anywhere."""

from pathlib import Path

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.location import CredentialsKind, CredentialsReference, S3Location
from stores.s3 import S3Store
from stores.s3_door import open_door
from stores.s3_login import authorities_of, credentials_of, root_of, session_of

_SECRET = "the-secret-itself"


@pytest.fixture(autouse=True)
def no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _location(kind: CredentialsKind, value: str = "") -> S3Location:
    return S3Location("bucket", endpoint="http://127.0.0.1:1", credentials=CredentialsReference(kind, value))


def _found(location: S3Location) -> tuple[str | None, str | None, str | None]:
    keys = credentials_of(session_of(location), location).get_frozen_credentials()
    return keys.access_key, keys.secret_key, keys.token


def _missing(location: S3Location) -> BlockferryError:
    with pytest.raises(BlockferryError) as raised:
        open_door(location, 1)
    error = raised.value
    assert (error.reason, error.retryable, error.whose) == ("CREDENTIALS_MISSING", False, Whose.CALLER)
    assert _SECRET not in f"{error}{error!r}{error.__cause__!r}{error.__context__!r}"
    return error


def test_an_environment_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_A_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("STORE_A_SECRET_ACCESS_KEY", _SECRET)
    assert _found(_location(CredentialsKind.ENVIRONMENT, "STORE_A")) == ("KEY", _SECRET, None)
    monkeypatch.setenv("STORE_A_SESSION_TOKEN", "token")
    assert _found(_location(CredentialsKind.ENVIRONMENT, "STORE_A")) == ("KEY", _SECRET, "token")


def test_an_environment_prefix_of_which_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_A_SECRET_ACCESS_KEY", _SECRET)
    error = _missing(_location(CredentialsKind.ENVIRONMENT, "STORE_A"))
    assert "STORE_A_ACCESS_KEY_ID not set" in error.message


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text(f"[default]\naws_access_key_id = KEY\naws_secret_access_key = {_SECRET}%\n[other]\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert _found(_location(CredentialsKind.FILE, str(file))) == ("KEY", f"{_SECRET}%", None)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("", "no section [default]"),
        (f"[other]\naws_secret_access_key = {_SECRET}", "no section [default]"),
        (f"aws_secret_access_key = {_SECRET}", "is no AWS credentials file"),
        (f"[default]\n{_SECRET}\n", "is no AWS credentials file"),
        (f"[default]\naws_secret_access_key = {_SECRET}", "aws_access_key_id not set"),
        ("[default]\naws_access_key_id = KEY\naws_secret_access_key =", "aws_secret_access_key not set"),
    ],
)
def test_a_file_that_holds_no_keys(tmp_path: Path, content: str, cause: str) -> None:
    file = tmp_path / "credentials"
    file.write_text(content)
    assert cause in _missing(_location(CredentialsKind.FILE, str(file))).message


def test_a_file_that_is_none(tmp_path: Path) -> None:
    assert "cannot be read" in _missing(_location(CredentialsKind.FILE, str(tmp_path / "missing"))).message


def test_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text(f"[lab]\naws_access_key_id = KEY\naws_secret_access_key = {_SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert _found(_location(CredentialsKind.PROFILE, "lab")) == ("KEY", _SECRET, None)
    assert "other" in _missing(_location(CredentialsKind.PROFILE, "other")).message


def test_the_default_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    _missing(_location(CredentialsKind.DEFAULT_CHAIN))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", _SECRET)
    assert _found(_location(CredentialsKind.DEFAULT_CHAIN)) == ("KEY", _SECRET, None)


def test_a_store_and_what_it_is_made_of_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_A_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("STORE_A_SECRET_ACCESS_KEY", _SECRET)
    location = _location(CredentialsKind.ENVIRONMENT, "STORE_A")
    door = open_door(location, 1)
    assert _SECRET not in f"{S3Store(location)!r}{door!r}{door.wire!r}{location!r}"


def test_a_store_is_made_without_looking_for_keys() -> None:
    S3Store(_location(CredentialsKind.ENVIRONMENT, "NO_SUCH")).check_path("a")


@pytest.mark.parametrize(
    ("endpoint", "path_style", "root"),
    [
        ("http://127.0.0.1:9000", None, "http://127.0.0.1:9000/bucket"),
        ("http://127.0.0.1:9000/", True, "http://127.0.0.1:9000/bucket"),
        ("https://store.example/s3", None, "https://store.example/s3/bucket"),
        ("https://store.example", False, "https://bucket.store.example"),
        ("", None, "https://bucket.s3.amazonaws.com"),
        ("", True, "https://s3.amazonaws.com/bucket"),
    ],
)
def test_the_url_of_a_bucket(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, path_style: bool | None, root: str
) -> None:
    monkeypatch.setenv("S_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("S_SECRET_ACCESS_KEY", _SECRET)
    reference = CredentialsReference(CredentialsKind.ENVIRONMENT, "S")
    location = S3Location("bucket", endpoint=endpoint, path_style=path_style, credentials=reference)
    found = root_of(session_of(location), location)
    assert found == root or (not endpoint and found == root.replace("s3.amazonaws", "s3.us-east-1.amazonaws"))


def test_the_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, other = tmp_path / "ca.pem", tmp_path / "other.pem"
    bundle.write_text("")
    other.write_text("")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(other))
    assert authorities_of(S3Location("b", ca_bundle=str(bundle))) == str(bundle)
    assert authorities_of(S3Location("b")) == str(other)
    monkeypatch.delenv("AWS_CA_BUNDLE")
    assert Path(authorities_of(S3Location("b"))).is_file()
    with pytest.raises(BlockferryError) as raised:
        authorities_of(S3Location("b", ca_bundle=str(tmp_path / "missing")))
    assert raised.value.reason == "TLS_UNTRUSTED"
