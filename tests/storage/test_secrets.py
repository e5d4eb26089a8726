"""What looks like a secret is masked, and what does not is left alone."""

import pytest

from pgexp.schema.errors import ConfigError
from pgexp.storage.secrets import find_masked, mask_text, mask_uri, masked
from pgexp.storage.store_uri import full_uri


@pytest.mark.parametrize(
    ("given", "expected"),
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
def test_a_uri_is_shown_without_its_password(given: str, expected: str) -> None:
    assert mask_uri(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("env.kwargs.api_key=s3cret", "env.kwargs.api_key=***"),
        ("+env.kwargs.password='s3 cret'", "+env.kwargs.password=***"),
        ("tracking.uri=http://me:s3cret@host", "tracking.uri=http://me:***@host"),
        ("env.kwargs={token:s3cret,size:4}", "env.kwargs={token:***"),
        ("optimizer.lr=0.1", "optimizer.lr=0.1"),
        ("env=monkey", "env=monkey"),
    ],
)
def test_an_argument_is_shown_without_its_secret(given: str, expected: str) -> None:
    assert mask_text(given) == expected


def test_texts_under_a_secret_s_name_are_masked_and_numbers_are_not() -> None:
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


def test_an_address_without_a_password_is_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@host:5000")
    assert full_uri("http://other:5000") == "http://other:5000"


def test_a_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@host:5000")
    assert full_uri(RECORDED) == "http://me:s3cret@host:5000"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "MLFLOW_TRACKING_URI is not set"),
        ("http://me:s3cret@elsewhere:5000", "MLFLOW_TRACKING_URI names http://me:***@elsewhere:5000"),
    ],
)
def test_a_password_that_is_not_given_is_asked_for(given: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    with pytest.raises(ConfigError) as caught:
        full_uri(RECORDED)
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)
