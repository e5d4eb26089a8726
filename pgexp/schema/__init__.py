"""Typed configuration of a run, its identity, its random streams, and the names of metrics, tags and files."""
