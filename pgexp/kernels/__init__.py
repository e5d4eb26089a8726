"""Compiled kernels (numba): random streams, layers, sampling and the acting loop."""
