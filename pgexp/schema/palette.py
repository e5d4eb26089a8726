"""The colours that tell configurations apart, in figures and in MLflow."""

from typing import Final

# Okabe and Ito 2008, "Color universal design", without the yellow that white paper swallows: told apart by the
# colour-blind, and mostly in grey print.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
