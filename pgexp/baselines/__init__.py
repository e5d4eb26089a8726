"""Baselines: functions that are subtracted from the returns to reduce the variance of the gradient estimate."""
