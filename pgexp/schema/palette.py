"""Colours of configurations, in figures and in MLflow."""

from typing import Final

# Okabe and Ito 2008, "Color universal design", without yellow, which is hard to see on white paper. Colour-blind
# readers can distinguish these colours, and most of them also differ in grey print.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
