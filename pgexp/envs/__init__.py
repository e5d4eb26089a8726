"""Environments: banks of any Gymnasium id, and compiled dynamics."""
