"""Storage: a run's folder, which is the truth, and MLflow, which is a projection of it."""
