"""Baselines: what is subtracted from the return, the experimental factor."""
