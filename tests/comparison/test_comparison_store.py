import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pgexp.comparison.store import ComparisonError, curves_link, open_ui, opened, shown
from tests.comparison.recorded import Recorded


def refusal(uri: str) -> str:
    with pytest.raises(ComparisonError) as refused, opened(uri) as client:
        client.search_experiments()
    assert "\n" not in str(refused.value), "one sentence"
    return str(refused.value)


def change(store: Recorded, statement: str) -> None:
    with closing(sqlite3.connect(store.folder / "mlflow.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_store_is_opened(store: Recorded) -> None:
    with opened(store.uri) as client:
        assert client.get_experiment(store.experiment).name == "cartpole"


def test_a_missing_file_is_refused_and_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "new" / "mlflow.db"
    assert f"there is no store at {missing}" in refusal(f"sqlite:///{missing}")
    assert not missing.parent.exists()


def test_a_relative_path_is_told_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"there is no store at {tmp_path / 'mlflow.db'}" in refusal("sqlite:///mlflow.db")


@pytest.mark.parametrize("content", [b"", b"hello, world" * 100])
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(content)
    assert f"{path} is not an MLflow store" in refusal(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_newer_store_is_refused(store: Recorded) -> None:
    change(store, "UPDATE alembic_version SET version_num = 'of tomorrow'")
    assert "was made by a newer MLflow" in refusal(store.uri)


def test_an_older_store_is_refused_with_the_command_that_upgrades_it(store: Recorded) -> None:
    change(store, "UPDATE alembic_version SET version_num = '451aebb31d03'")  # the oldest there is
    before = (store.folder / "mlflow.db").read_bytes()
    assert refusal(store.uri).endswith(f"back it up, then run: mlflow db upgrade {store.uri}")
    assert (store.folder / "mlflow.db").read_bytes() == before, "MLflow itself would upgrade it without asking"


def test_an_unfinished_store_is_refused(store: Recorded) -> None:
    change(store, "DELETE FROM alembic_version")
    assert "unfinished MLflow store" in refusal(store.uri)


@pytest.mark.parametrize("uri", ["mlflow.db", "./mlruns", "file:///somewhere/mlruns"])
def test_a_path_is_no_address(uri: str) -> None:
    assert f"{uri} is no address of a store: write sqlite:///" in refusal(uri)


def test_an_unknown_kind_of_store_is_refused() -> None:
    assert refusal("gopher://host/store").startswith("gopher://host/store can't be read")


def test_what_fails_while_reading_is_told_in_a_sentence(store: Recorded) -> None:
    with pytest.raises(ComparisonError, match=r"can't be read.*not found"), opened(store.uri) as client:
        client.get_run("0" * 32)


def test_passwords_are_not_shown() -> None:
    assert shown("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert "secret" not in open_ui("postgresql://me:secret@host/db")


def test_the_ui_is_a_servers_own_or_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_ui("https://host:5000") == "open https://host:5000"
    assert open_ui("sqlite:///mlflow.db").startswith(f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db ")
    assert "'sqlite:////a b/mlflow.db'" in open_ui("sqlite:////a b/mlflow.db"), "as a shell reads it"


def test_a_password_is_in_no_refusal_not_even_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert "s3cret" not in refusal(f"http://me:{'s3cret' * 30}@127.0.0.1:1")


def test_the_password_of_a_recorded_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "MLFLOW_TRACKING_URI is not set" in refusal("http://me:***@127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:1")
    assert "can't be read: is it up?" in refusal("http://me:***@127.0.0.1:1")


def test_learning_curves_have_a_link_where_the_store_has_a_view_of_them(store: Recorded) -> None:
    assert curves_link(store.uri, "20261128-a") is None
    store.client.set_experiment_tag(store.experiment, "mlflow.sharedViewState.pgexp-curves", "... '20261128-a' ...")
    page = f"/#/experiments/{store.experiment}/runs?viewStateShareKey=pgexp-curves&compareRunsMode=CHART"
    assert curves_link(store.uri, "20261128-a") == f"http://127.0.0.1:5000{page}"
