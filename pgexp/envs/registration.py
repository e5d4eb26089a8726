"""Registration of pgexp's own environments in Gymnasium, when the module is imported."""

import gymnasium as gym

gym.register(
    "pgexp/ShortCorridor-v0",
    "pgexp.envs.compiled.short_corridor:ShortCorridorEnv",
    max_episode_steps=1000,
)
