"""What both clients share: how a channel is opened, with which deadlines, and the requests of pages. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

DEFAULT_ADDRESS = "127.0.0.1:7640"
DEADLINE_S = 30.0  # of unary calls
TEST_DEADLINE_S = 120.0  # of TestLocation, which tries every DataNode
PAGE_SIZE = 500

Headers = Callable[[], Sequence[tuple[str, str]]]

# Only UNAVAILABLE is repeated: the server has not seen the call, or the call carries a request_id.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": f"blockferry.v1.{service}"} for service in ("LocationService", "TaskService")]
            + [{"service": "blockferry.v1.ExecutionService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "3s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
CHANNEL_OPTIONS = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


def no_headers() -> Sequence[tuple[str, str]]:
    """Returns no metadata: the caller traces nothing."""
    return ()
