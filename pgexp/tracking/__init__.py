"""MLflow as a projection of run folders: exporter, client, artifacts and models."""
