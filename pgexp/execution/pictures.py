"""Says in a sentence why an environment can't be filmed, or shown, before anybody waits for it."""

import os
import sys
from importlib.util import find_spec

import numpy as np

from pgexp.envs.spec import EnvSpec
from pgexp.schema.errors import ConfigError, Problem

_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")  # any of them says where windows go


def require_video(env: EnvSpec, key: str) -> None:
    """Raise ConfigError, at a key of the config, where no film of the environment can be made."""
    missing = [name for name in ("imageio", "imageio_ffmpeg", "pygame") if find_spec(name) is None]
    if missing:
        text = f"true needs {', '.join(missing)}, an extra of the package: pip install 'pgexp[video]'"
        raise ConfigError([Problem(key, text)])
    try:
        filmed = env.filmed()
        filmed.start(np.array([0]), [0])
        filmed.frame(0)
        filmed.close()
    except Exception as error:  # a renderer may raise anything
        reason = f"{type(error).__name__}: {str(error).strip() or 'it has no pictures'}"
        hint = ". Without a screen it needs MUJOCO_GL=egl or osmesa" if type(error).__module__ == "mujoco" else ""
        text = f"{env.id} can't be pictured here: {reason}{hint}"
        raise ConfigError([Problem(key, text)]) from error


def require_window(env: EnvSpec, key: str) -> None:
    """Raise ConfigError, at a key of the config, where no window can show the environment."""
    if sys.platform == "linux" and not any(os.environ.get(name) for name in _SCREENS):
        text = "human opens a window, and there is no screen here (DISPLAY is not set); video=true makes a film instead"
        raise ConfigError([Problem(key, text)])
    made = env.make()
    modes = made.metadata.get("render_modes") or []
    made.close()
    if not {"human", "rgb_array"} & set(modes):
        raise ConfigError([Problem(key, f"human, but {env.id} can't be shown: it has no pictures")])
