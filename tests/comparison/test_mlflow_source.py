"""Checks and addresses of an MLflow store, and sweeps by id."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from pgexp.comparison.mlflow_source import find_sweep
from pgexp.comparison.mlflow_store import curves_link, display_uri, open_store, ui_command
from pgexp.schema.errors import UserError
from tests.comparison.recorded_store import RecordedStore


def error_text(uri: str) -> str:
    with pytest.raises(UserError) as raised, open_store(uri) as client:
        client.search_experiments()
    assert "\n" not in str(raised.value), "one sentence"
    return str(raised.value)


def change(store: RecordedStore, statement: str) -> None:
    with closing(sqlite3.connect(store.folder / "mlflow.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_open_a_store(store: RecordedStore) -> None:
    with open_store(store.uri) as client:
        assert client.get_experiment(store.experiment).name == "cartpole"


def test_a_missing_file_is_rejected_and_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "new" / "mlflow.db"
    assert f"no store at {missing}" in error_text(f"sqlite:///{missing}")
    assert not missing.parent.exists()


def test_a_relative_path_is_shown_as_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"no store at {tmp_path / 'mlflow.db'}" in error_text("sqlite:///mlflow.db")


@pytest.mark.parametrize("content", [b"", b"hello, world" * 100])
def test_another_kind_of_file_is_rejected_and_unchanged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(content)
    assert f"{path} is not an MLflow store" in error_text(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_newer_store_is_rejected(store: RecordedStore) -> None:
    change(store, "UPDATE alembic_version SET version_num = 'of tomorrow'")
    assert "was created by a newer MLflow" in error_text(store.uri)


def test_an_older_store_is_rejected_with_the_upgrade_command(store: RecordedStore) -> None:
    change(store, "UPDATE alembic_version SET version_num = '451aebb31d03'")  # the oldest there is
    before = (store.folder / "mlflow.db").read_bytes()
    assert error_text(store.uri).endswith(f"Back it up, then run: mlflow db upgrade {store.uri}")
    assert (store.folder / "mlflow.db").read_bytes() == before, "MLflow would upgrade it"


def test_an_unfinished_store_is_rejected(store: RecordedStore) -> None:
    change(store, "DELETE FROM alembic_version")
    assert "unfinished MLflow store" in error_text(store.uri)


@pytest.mark.parametrize("uri", ["mlflow.db", "./mlruns", "file:///somewhere/mlruns"])
def test_a_path_is_rejected_as_an_address(uri: str) -> None:
    assert f"store's address (got {uri}). Write sqlite:///" in error_text(uri)


def test_an_unknown_kind_of_store_is_rejected() -> None:
    assert error_text("gopher://host/store").startswith("--uri: cannot read gopher://host/store")


def test_a_failure_while_reading_is_one_sentence(store: RecordedStore) -> None:
    with pytest.raises(UserError, match=r"cannot read.*not found"), open_store(store.uri) as client:
        client.get_run("0" * 32)


def test_passwords_are_masked() -> None:
    assert display_uri("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert "secret" not in ui_command("postgresql://me:secret@host/db")


def test_ui_command_of_a_server_and_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ui_command("https://host:5000") == "open https://host:5000"
    assert ui_command("sqlite:///mlflow.db").startswith(
        f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db "
    )
    assert "'sqlite:////a b/mlflow.db'" in ui_command("sqlite:////a b/mlflow.db"), "quoted for a shell"


def test_errors_contain_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert "s3cret" not in error_text(f"http://me:{'s3cret' * 30}@127.0.0.1:1")


def test_masked_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "MLFLOW_TRACKING_URI is not set" in error_text("http://me:***@127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:1")
    assert "Check that it runs" in error_text("http://me:***@127.0.0.1:1")


def test_link_to_the_learning_curves(store: RecordedStore) -> None:
    assert curves_link(store.uri, "20261128-a") is None
    store.client.set_experiment_tag(store.experiment, "mlflow.sharedViewState.pgexp-curves", "... '20261128-a' ...")
    page = f"/#/experiments/{store.experiment}/runs?viewStateShareKey=pgexp-curves&compareRunsMode=CHART"
    assert curves_link(store.uri, "20261128-a") == f"http://127.0.0.1:5000{page}"


KNOWN = pd.DataFrame({"sweep": ["3f9c2ab1", "3f9c77e0", "c0ffee12", "3f"]})


def test_find_sweep_prefers_the_whole_id() -> None:
    assert find_sweep("3f", KNOWN) == "3f"


def test_find_sweep_by_prefix() -> None:
    assert find_sweep("3f9c2", KNOWN) == "3f9c2ab1"


def test_find_sweep_rejects_an_ambiguous_prefix() -> None:
    with pytest.raises(UserError, match=r"2 sweeps begin with '3f9c'. Write more of 3f9c2ab1, 3f9c77e0"):
        find_sweep("3f9c", KNOWN)


def test_find_sweep_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean c0ffee12"):
        find_sweep("coffee12", KNOWN)


def test_find_sweep_in_a_store_without_sweeps() -> None:
    with pytest.raises(UserError, match="The store has no sweeps"):
        find_sweep("3f", KNOWN.iloc[:0])
