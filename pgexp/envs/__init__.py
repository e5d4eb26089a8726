"""Environments as episode slots: rows that are started and stepped side by side, each on a stream of its own."""
