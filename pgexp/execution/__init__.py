"""Execution: jobs become packs, packs are assembled and trained, and everything is written down."""
