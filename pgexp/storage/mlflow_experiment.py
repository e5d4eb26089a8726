"""The MLflow experiment that holds a record's runs."""

from pgexp.storage.mlflow_client import MlflowClient, MlflowException, artifact_location

_EXISTS = "RESOURCE_ALREADY_EXISTS"


def open_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """Return the id of the experiment of that name, which is created if need be; others may create it meanwhile.

    Raises ValueError where it is deleted.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return client.create_experiment(name, artifact_location(uri))
        except MlflowException as error:
            experiment = client.get_experiment_by_name(name) if error.error_code == _EXISTS else None
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        remedy = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        raise ValueError(f"MLflow's experiment {name} is deleted: restore it ({remedy}), or name another")
    return experiment.experiment_id
