"""Registers the environments that come with pgexp in Gymnasium; importing it is enough."""

import gymnasium as gym

gym.register("pgexp/ShortCorridor-v0", "pgexp.envs.short_corridor:ShortCorridorEnv", max_episode_steps=1000)
