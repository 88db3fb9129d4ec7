"""The client of blockferry: talk to its scheduler from Python. Needs grpcio and protobuf, nothing else."""
