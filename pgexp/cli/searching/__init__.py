"""A search over hyper-parameters with Optuna: what stands behind `hydra/sweeper=optuna`."""
