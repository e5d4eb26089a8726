"""Search over hyper-parameters with Optuna (`hydra/sweeper=optuna`)."""
