"""Commands of pgexp, one module each, and the modules that they share."""
