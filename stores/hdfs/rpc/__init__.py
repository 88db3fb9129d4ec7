"""Calls of Hadoop RPC: connections, their frames, and which NameNode is asked."""
