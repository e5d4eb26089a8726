"""Hydra's files without secrets, and untouched where they hold none."""

from pathlib import Path

import yaml

from pgexp.storage.hydra_files import mask_hydra_files

PLAIN = "# as Hydra writes it\nseed: 0\noptimizer: {lr: 1e-3}\nname: ${optimizer.lr}\n"


def test_a_file_without_secrets_stays_as_it_is_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / ".hydra" / "config.yaml"
    path.parent.mkdir()
    path.write_text(PLAIN)
    before = path.stat()
    mask_hydra_files(tmp_path, ".hydra")
    assert path.read_text() == PLAIN
    assert path.stat().st_ino == before.st_ino


def test_secrets_are_masked_and_all_else_stays(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    given = {"uri": "http://a:b@c", "name": "${hydra.job.name}", "none": None, "text": "1e-3", "ü": ["x", 2.5, True]}
    (tmp_path / ".hydra" / "config.yaml").write_text(yaml.safe_dump(given))
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- seed=1\n- +env.kwargs.token=abc\n")
    overrides = {"hydra": ["hydra.x=1"], "task": ["tracking.uri=http://a:b@c"]}
    job = {"override_dirname": "seed=1,token=abc", "env_set": {"MY_PASSWORD": "abc"}}
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": overrides, "job": job}, "seed": 1}))
    mask_hydra_files(tmp_path, ".hydra")
    assert yaml.safe_load((tmp_path / ".hydra" / "config.yaml").read_text()) == given | {"uri": "http://a:***@c"}
    assert yaml.safe_load((tmp_path / ".hydra" / "overrides.yaml").read_text()) == ["seed=1", "+env.kwargs.token=***"]
    assert yaml.safe_load((tmp_path / "multirun.yaml").read_text()) == {
        "hydra": {
            "overrides": overrides | {"task": ["tracking.uri=http://a:***@c"]},
            "job": {"override_dirname": "seed=1,token=***", "env_set": {"MY_PASSWORD": "***"}},
        },
        "seed": 1,
    }
