"""Whose certificates a KMS over https may have: what the site files name, else what the system trusts."""

from __future__ import annotations

import ssl
from pathlib import Path

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.config.site_folder import read_site
from stores.hdfs.zones import pkcs12, truststore

SSL_CLIENT = "ssl-client.xml"  # hadoop.ssl.client.conf
_LOCATION, _PASSWORD = "ssl.client.truststore.location", "ssl.client.truststore.password"


def trusted_pem(conf_dir: str) -> str:
    """Returns the certificates of the truststore that ssl-client.xml in the folder of site files names; empty: there is
    none, so the system's count (and SSL_CERT_FILE). Host names are checked in any case, also where
    hadoop.ssl.hostname.verifier says ALLOW_ALL.

    Raises:
        BlockferryError: TRUSTSTORE_INVALID; those of `read_site`.
    """
    if not conf_dir or not (Path(conf_dir) / SSL_CLIENT).is_file():
        return ""
    site = read_site(conf_dir, (SSL_CLIENT,))
    file = site.get(_LOCATION)
    if not file:
        return ""
    try:
        pem = _pem_of(Path(file).read_bytes(), site.get(_PASSWORD))
        ssl.create_default_context(cadata=pem)
    except (OSError, ValueError) as error:
        raise _invalid(file, error, site.place(_LOCATION)) from error
    return pem


def _pem_of(content: bytes, password: str) -> str:
    """Returns the certificates of a store of any kind; the file's name says nothing of that."""
    if pkcs12.is_store(content):
        return truststore.as_pem(pkcs12.certificates_of(content, password))
    return truststore.pem_of(content, password)


def _invalid(file: str, error: OSError | ValueError, place: str) -> BlockferryError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return BlockferryError(
        "TRUSTSTORE_INVALID",
        f"The truststore {file} that {place} names cannot be used: {why}. It must be on every machine with workers, as "
        "PKCS#12, JKS or PEM.",
        whose=Whose.CALLER,
        file=file,
    )
