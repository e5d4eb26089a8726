"""Networks on stacked parameters: pure functions of parameters [R, ...] and inputs [R, B, I]."""
