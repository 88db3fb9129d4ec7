"""Data transfer with DataNodes: packets, verification, protection."""
