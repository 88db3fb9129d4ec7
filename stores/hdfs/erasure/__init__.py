"""Erasure-coded files: codes, striping, rebuilding."""
