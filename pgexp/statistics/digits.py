"""How a return is written for people."""


def written(value: float) -> str:
    """Return a number with the decimals that tell returns of its size apart: 0.731, 9.250, 488.4, 2,619.1."""
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
