"""Environments with compiled dynamics."""
