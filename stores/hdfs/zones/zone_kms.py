"""Which KMS a location's encryption zones have, found and opened by the first file that needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.config.cluster import Cluster
from stores.hdfs.zones.kms import KmsClient, KmsLogin
from stores.hdfs.zones.kms_trust import trusted_pem
from stores.hdfs.zones.kms_wire import EncryptedKey, parse_uri


class ZoneKms:
    """The KMS of one location. Thread safe; asks nobody before the first key."""

    def __init__(self, cluster: Cluster, conf_dir: str, login: KmsLogin, namenode_says: Callable[[], str]) -> None:
        """`namenode_says` asks the NameNode for the URI of its key provider; empty: it has none."""
        self._cluster = cluster
        self._conf_dir = conf_dir
        self._login = login
        self._namenode_says = namenode_says
        self._lock = threading.Lock()
        self._client: KmsClient | None = None

    def decrypt(self, key: EncryptedKey) -> bytes:
        """Returns the decrypted key.

        Raises:
            BlockferryError: KMS_NOT_CONFIGURED, KMS_URI_INVALID, KMS_UNSUPPORTED; those of `KmsClient.decrypt`, of
                `kms_trust.trusted_pem`, and of the NameNode.
        """
        return self._opened().decrypt(key)

    def greet(self) -> tuple[tuple[str, BlockferryError | None], ...]:
        """Asks every server of the KMS whether it knows us; see `KmsClient.greet`. () where there is no KMS.

        Raises:
            BlockferryError: as `decrypt`, before a server is asked.
        """
        if not (self._cluster.kms_uri or self._namenode_says()):
            return ()
        return self._opened().greet()

    def close(self) -> None:
        """Closes the connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _opened(self) -> KmsClient:
        with self._lock:
            if self._client is None:
                address = parse_uri(self._uri())
                pem = trusted_pem(self._conf_dir) if address.scheme == "https" else ""
                self._client = KmsClient(address, self._login, pem)
            return self._client

    def _uri(self) -> str:
        """Returns the URI of the location or its site files, else the NameNode's, as Hadoop's own client does."""
        if uri := self._cluster.kms_uri or self._namenode_says():
            return uri
        raise BlockferryError(
            "KMS_NOT_CONFIGURED",
            "The file is in an encryption zone, and neither the location nor the NameNode says where the KMS is. Give "
            "the location the KMS's URI, kms://https@HOST;HOST:PORT/kms (dfs.encryption.key.provider.uri).",
            whose=Whose.CALLER,
            cluster=self._cluster.identity,
        )
