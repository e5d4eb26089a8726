"""Masking of secrets in texts, configs and Hydra's files."""

from pathlib import Path

import pytest
import yaml

from pgexp.runs.secrets import find_masked, mask_hydra_files, mask_text, mask_uri, masked
from pgexp.schema.errors import UserError
from pgexp.tracking.store import full_uri


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:s3cret@host:5000/path", "http://me:***@host:5000/path"),
        ("http://me:s3c@ret@host", "http://me:***@host"),
        ("postgresql+psycopg2://me:s3cret@host/db", "postgresql+psycopg2://me:***@host/db"),
        ("postgresql://host/db?user=me&password=s3cret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("https://host/?access_token=s3cret", "https://host/?access_token=***"),
        (
            "failed at http://me:s3cret@a, then at http://b:s3cret@c",
            "failed at http://me:***@a, then at http://b:***@c",
        ),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:////folder/mlflow.db", "sqlite:////folder/mlflow.db"),
        ("http://host/?page_token_count=3&tokens=4", "http://host/?page_token_count=3&tokens=4"),
    ],
)
def test_password_in_a_uri_is_masked(text: str, expected: str) -> None:
    assert mask_uri(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("env.kwargs.api_key=s3cret", "env.kwargs.api_key=***"),
        ("+env.kwargs.password='s3 cret'", "+env.kwargs.password=***"),
        ("tracking.uri=http://me:s3cret@host", "tracking.uri=http://me:***@host"),
        ("env.kwargs={token:s3cret,size:4}", "env.kwargs={token:***"),
        ("optimizer.lr=0.1", "optimizer.lr=0.1"),
        ("env=monkey", "env=monkey"),
    ],
)
def test_secret_in_an_argument_is_masked(text: str, expected: str) -> None:
    assert mask_text(text) == expected


def test_texts_under_secret_names_are_masked() -> None:
    config = {
        "api_key": "s3cret",
        "n_tokens": 5,
        "token": "",
        "nested": {"password": "s3cret", "keyboard": "qwerty", "uri": "http://me:s3cret@host"},
        "passwords": ["s3cret", 7],
        "wrappers": [{"_target_": "own.Login", "secret": "s3cret"}],
    }
    safe = masked(config)
    assert safe == {
        "api_key": "***",
        "n_tokens": 5,
        "token": "",
        "nested": {"password": "***", "keyboard": "qwerty", "uri": "http://me:***@host"},
        "passwords": ["***", 7],
        "wrappers": [{"_target_": "own.Login", "secret": "***"}],
    }
    assert find_masked(safe) == ["api_key", "nested.password", "nested.uri", "passwords[0]", "wrappers[0].secret"]


RECORDED = "http://me:***@host:5000"


def test_address_without_a_password_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@host:5000")
    assert full_uri("http://other:5000") == "http://other:5000"


def test_password_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@host:5000")
    assert full_uri(RECORDED) == "http://me:s3cret@host:5000"


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("", "MLFLOW_TRACKING_URI is not set"),
        ("http://me:s3cret@elsewhere:5000", "MLFLOW_TRACKING_URI names http://me:***@elsewhere:5000"),
    ],
)
def test_missing_password_is_refused(variable: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    with pytest.raises(UserError) as caught:
        full_uri(RECORDED)
    assert problem in str(caught.value)
    assert "s3cret" not in str(caught.value)


PLAIN = "# as Hydra writes it\nseed: 0\noptimizer: {lr: 1e-3}\nname: ${optimizer.lr}\n"


def test_file_without_secrets_is_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / ".hydra" / "config.yaml"
    path.parent.mkdir()
    path.write_text(PLAIN)
    before = path.stat()
    mask_hydra_files(tmp_path, ".hydra")
    assert path.read_text() == PLAIN
    assert path.stat().st_ino == before.st_ino


def test_only_secrets_are_masked(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    config = {"uri": "http://a:b@c", "name": "${hydra.job.name}", "none": None, "text": "1e-3", "ü": ["x", 2.5, True]}
    (tmp_path / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- seed=1\n- +env.kwargs.token=abc\n")
    overrides = {"hydra": ["hydra.x=1"], "task": ["tracking.uri=http://a:b@c"]}
    job = {"override_dirname": "seed=1,token=abc", "env_set": {"MY_PASSWORD": "abc"}}
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": overrides, "job": job}, "seed": 1}))
    mask_hydra_files(tmp_path, ".hydra")
    assert yaml.safe_load((tmp_path / ".hydra" / "config.yaml").read_text()) == config | {"uri": "http://a:***@c"}
    assert yaml.safe_load((tmp_path / ".hydra" / "overrides.yaml").read_text()) == ["seed=1", "+env.kwargs.token=***"]
    assert yaml.safe_load((tmp_path / "multirun.yaml").read_text()) == {
        "hydra": {
            "overrides": overrides | {"task": ["tracking.uri=http://a:***@c"]},
            "job": {"override_dirname": "seed=1,token=***", "env_set": {"MY_PASSWORD": "***"}},
        },
        "seed": 1,
    }
