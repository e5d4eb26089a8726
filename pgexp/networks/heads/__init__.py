"""Heads: what makes of a network's outputs a distribution over actions, and of a sample the environment's action."""
