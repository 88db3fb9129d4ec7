"""Our signatures are botocore's, for any request."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from stores.s3_signing import SigningKey, authorization, signing_key

_ACCESS, _SECRET = "AKIDEXAMPLE", "not+a/secret"
_WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
_NAMES = st.from_regex(r"x-amz-meta-[a-z0-9-]{1,12}", fullmatch=True)
_VALUES = st.lists(_WORDS, min_size=1, max_size=3).map("  ".join)
_KEYS = st.text(st.characters(codec="utf-8"), max_size=30)
_QUERIES = st.dictionaries(st.sampled_from(("uploads", "uploadId", "partNumber", "list-type", "prefix")), _KEYS)


def of_botocore(request: AWSRequest, region: str) -> tuple[str, dict[str, str]]:
    """Returns botocore's signature, and the headers that it has signed, in small letters."""
    request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    S3SigV4Auth(Credentials(_ACCESS, _SECRET, "a token").get_frozen_credentials(), "s3", region).add_auth(request)
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    return headers.pop("authorization"), {"host": str(urlsplit(request.url).netloc), **headers}


@given(
    st.sampled_from(("GET", "PUT", "HEAD", "POST", "DELETE")),
    _KEYS,
    _QUERIES,
    st.dictionaries(_NAMES, _VALUES, max_size=5),
    st.sampled_from(("us-east-1", "eu-central-1")),
)
def test_a_signature_is_that_of_botocore(
    method: str, key: str, query: dict[str, str], headers: dict[str, str], region: str
) -> None:
    path = "/bucket/" + quote(key, safe="/-_.~")
    asked = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))
    more = {"Content-Type": "application/x-directory; a=b", "range": "bytes=0-1", **headers}
    request = AWSRequest(method, f"http://store.test:8333{path}{'?' + asked if asked else ''}", headers=more)
    expected, sent = of_botocore(request, region)
    ours = signing_key(_ACCESS, _SECRET, sent["x-amz-date"][:8], region)
    assert authorization(method, path, asked, sent, ours) == expected


def test_a_key_shows_nothing() -> None:
    assert "scope" not in repr(SigningKey("access", "scope", b"key"))
