"""Environments: Gymnasium environments as banks of episodes, and compiled dynamics."""
