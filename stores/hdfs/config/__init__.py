"""What a cluster is and how to talk to it, out of Hadoop's site files."""
