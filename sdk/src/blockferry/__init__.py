"""The client of blockferry: talk to its scheduler from Python. Needs grpcio and protobuf, nothing else."""

from blockferry.aio import AsyncClient
from blockferry.client import Client
from blockferry.errors import BlockferryError, Whose

__all__ = ["AsyncClient", "BlockferryError", "Client", "Whose"]
