"""An experiment framework for policy-gradient reinforcement learning: a whole sweep trained as one program."""

__version__ = "0.1.0"
