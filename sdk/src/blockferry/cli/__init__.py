"""The command line of blockferry."""
