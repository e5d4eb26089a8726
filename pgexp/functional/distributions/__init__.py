"""Distributions of actions over a network's outputs, one family a file."""
