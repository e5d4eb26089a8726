"""Policy heads: maps from a network's outputs to a distribution over actions, and from samples to actions."""
