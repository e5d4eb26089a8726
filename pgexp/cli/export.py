"""Command `pgexp-export`: exports a run's policy as an MLflow model, and registers it."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pgexp.cli.entrypoint import run_command
from pgexp.runs.manifest import manifest_of
from pgexp.runs.secrets import mask_uri
from pgexp.schema.config import model_name_problems
from pgexp.schema.errors import UserError
from pgexp.tracking.locate import LocatedRun, locate_run
from pgexp.tracking.store import URI_VARIABLE, configure_command, full_uri

if TYPE_CHECKING:
    from pgexp.tracking.client import MlflowClient
    from pgexp.tracking.models import ExportedModel

DESCRIPTION = """\
Export the policy of a run as an MLflow model, for mlflow.pyfunc.load_model and mlflow models serve. The model
contains the code of the policy. If the command is repeated, it does not create a second model."""
RUN = "a run's folder, or an MLflow run id"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    configure_command()

    def work() -> int:
        if arguments.name is not None and (problems := model_name_problems("--name", arguments.name)):
            raise UserError(problems)
        _export(arguments.run, arguments.name, arguments.uri)
        return 0

    return run_command("pgexp-export", work, "repeat the command to complete the model")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgexp-export", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help=RUN)
    parser.add_argument("--name", help="registered model to which the model is added as a version (default: none)")
    parser.add_argument("--uri", help="MLflow store (default: the run's own, or sqlite:///mlflow.db)")
    return parser


def _export(name: str, model: str | None, uri: str | None) -> None:
    from pgexp.comparison.mlflow_store import DEFAULT_URI, display_uri, open_store

    default = uri or os.environ.get(URI_VARIABLE) or DEFAULT_URI
    with locate_run(name, default) as found:
        manifest = None if found.copied else manifest_of(found.folder)
        store = uri or (full_uri(manifest.tracking.uri) if manifest and found.run_id is None else default)
        with open_store(store) as client:
            exported = _export_model(client, found, display_uri(store), model)
    print(f"model       runs:/{exported.run_id}/model")
    if exported.version is not None:
        print(f"registered  models:/{model}/{exported.version}")
    print(f"MLflow      {display_uri(store)}")


def _export_model(client: "MlflowClient", found: LocatedRun, store: str, name: str | None) -> "ExportedModel":
    from pgexp.tracking.artifacts import find_run
    from pgexp.tracking.models import export_model

    with _user_errors(store):
        run_id = found.run_id or find_run(client, found.folder)
        if run_id is None:
            text = f"{store} does not have the run. Call pgexp-sync {found.folder}, or name its store with --uri"
            raise UserError.at("run", text)
        return export_model(client, client.get_run(run_id).info, found.folder, name)


@contextmanager
def _user_errors(store: str) -> Iterator[None]:
    """Turn errors of a store, and of its artifacts, into UserErrors."""
    from pgexp.tracking.client import MlflowException, SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        text = f"could not write the model to {store} ({mask_uri(str(error))}). Repeat the command later"
        raise UserError.at("--uri", text) from error


if __name__ == "__main__":
    sys.exit(main())
