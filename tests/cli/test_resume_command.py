"""pgexp-resume: resumed runs, extended budgets and errors."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from pgexp.cli.resume import main
from pgexp.execution import training
from pgexp.execution.resume import read_end
from pgexp.runs.checkpoint import read_checkpoint
from pgexp.runs.manifest import load_manifest, require_new
from pgexp.runs.run_log import Resumed, Row, RunLogReader
from pgexp.schema.errors import UserError
from pgexp.tracking.exporter import ExporterState
from tests.cli.lock_holder import holder
from tests.conftest import Compose
from tests.execution.conftest import CLOCK
from tests.execution.own.mine import DEEDS
from tests.recorded_runs import recorded
from tests.streams import episode_seed
from tests.trees import assert_same_tree

Resume = Callable[..., tuple[int, str, str]]

RUN = (*CLOCK, "evaluation.every=8", "+env.kwargs.deed=none", f"+env.kwargs.when={episode_seed(0, 'env', 0, 2)}")
INTERRUPTED = "env.kwargs.deed=SIGINT"  # in seed 0's third batch
SEGMENTS = ("algorithm.batch.episodes=null", "algorithm.batch.steps=7", "env.num_envs=2", "baseline=running_mean")
CONSTANT = "schedule=constant"


@pytest.fixture
def resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Resume:
    """Return a function that runs the command without a store, and returns its exit code and output."""
    done = SimpleNamespace(
        wait=lambda timeout: ExporterState("done"), state=lambda: ExporterState("done"), close=lambda: None
    )  # fmt: skip
    monkeypatch.setattr(training, "Exporter", SimpleNamespace(start=lambda folder, uri, growing=False: done))
    monkeypatch.setattr(sys, "path", [*sys.path])

    def called(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return (code, *capsys.readouterr())

    return called


def contents(folder: Path) -> dict[Path, bytes]:
    """Return all files of a folder except locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {path.relative_to(folder): path.read_bytes() for path in files}


def results(*folders: Path) -> list[dict[str, bytes]]:
    """Return the files of some runs that depend on their identity alone."""
    return [{name: (folder / name).read_bytes() for name in ("metrics.parquet", "policy/policy.safetensors")}
            for folder in folders]  # fmt: skip


def error_of(answer: tuple[int, str, str]) -> str:
    """Return the error of a refused command."""
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.startswith("pgexp-resume: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("overrides", [(), SEGMENTS, ("schedule=linear", "optimizer=adam")], ids=" ".join)
def test_resumed_run_equals_an_uninterrupted_one(
    configured: Compose, tmp_path: Path, resume: Resume, overrides: Sequence[str]
) -> None:
    budget = "budget.steps=70"
    (whole,) = recorded([configured(*RUN, *overrides, budget)], tmp_path / "whole")
    (run,) = recorded([configured(*RUN, *overrides, budget, INTERRUPTED)], tmp_path / "run")
    before = (run / "rows.jsonl").read_bytes()
    assert resume(run)[0] == 0
    assert results(run) == results(whole)
    assert (run / "rows.jsonl").read_bytes().startswith(before)
    items = RunLogReader(run / "rows.jsonl").read()
    assert sum(isinstance(item, Resumed) for item in items) == 1
    end = read_end(run)
    assert end is not None
    assert (end.status, end.complete) == ("FINISHED", True)
    assert json.loads((run / "provenance" / "cost.json").read_text())["parts"] == 2


def test_unfinished_runs_of_a_sweep_resume(configured: Compose, tmp_path: Path, resume: Resume) -> None:
    def sweep(*overrides: str) -> list[Path]:
        short = configured(*RUN, *overrides, "budget.steps=8")
        others = [configured(*RUN, *overrides, f"seed={seed}") for seed in (0, 1)]
        return recorded([short, *others], tmp_path / f"sweep {len([*tmp_path.iterdir()])}", sweep=True)

    whole, stopped = sweep(), sweep(INTERRUPTED)
    done = contents(stopped[0])
    code, out, _ = resume(stopped[0].parent)
    assert code == 0
    assert "3 of 3 runs done" in out
    assert results(*stopped) == results(*whole)
    assert contents(stopped[0]) == done


@pytest.mark.parametrize(
    ("overrides", "kept"),
    [
        pytest.param((), "0", id="episodes"),
        pytest.param((), "null", id="episodes, no checkpoint", marks=pytest.mark.slow),
        pytest.param(SEGMENTS, "0", id="segments", marks=pytest.mark.slow),
        pytest.param(SEGMENTS, "null", id="segments, no checkpoint", marks=pytest.mark.slow),
    ],
)
def test_failed_run_resumes_after_a_fix(
    configured: Compose,
    tmp_path: Path,
    resume: Resume,
    monkeypatch: pytest.MonkeyPatch,
    overrides: Sequence[str],
    kept: str,
) -> None:
    """Seed 0 fails in its third batch, seed 1 does not; with a checkpoint after each update, or none before the end."""

    def sweep(name: str, deed: str) -> list[Path]:
        every = ("budget.steps=70", f"checkpoint.seconds={kept}", f"env.kwargs.deed={deed}")
        configs = [configured(*RUN, *overrides, *every, f"seed={seed}") for seed in (0, 1)]
        return recorded(configs, tmp_path / name, sweep=True)

    whole, runs = sweep("whole", "none"), sweep("failed", "fail")
    assert results(runs[1]) == results(whole[1])
    assert (runs[0] / "checkpoint" / "last.safetensors").exists() == (kept == "0")
    code, out, _ = resume(runs[0].parent)
    assert (code, "1 of 2 runs done" in out) == (1, True)
    assert f"FAILED  {runs[0]}: RuntimeError: the motor is stuck" in out
    monkeypatch.setitem(DEEDS, "fail", lambda: None)
    code, out, _ = resume(runs[0].parent)
    assert (code, "2 of 2 runs done" in out) == (0, True)
    assert results(*runs) == results(*whole)
    assert not (runs[0] / "error.txt").exists()


def test_run_without_a_checkpoint_starts_again(configured: Compose, tmp_path: Path, resume: Resume) -> None:
    (whole,) = recorded([configured(*RUN)], tmp_path / "whole")
    (run,) = recorded([configured(*RUN, "env.kwargs.deed=interrupt")], tmp_path / "run")
    assert not (run / "checkpoint" / "last.safetensors").exists()
    config = json.loads((run / "config.json").read_text())
    assert config["env"]["kwargs"]["deed"] == "interrupt"
    assert resume(run)[0] == 130  # interrupted again
    assert [item.steps for item in RunLogReader(run / "rows.jsonl").read() if isinstance(item, Row)] == [8, 8, 16, 16]
    (lost,) = recorded([configured(*RUN, INTERRUPTED)], tmp_path / "lost")
    (lost / "checkpoint" / "last.safetensors").unlink()
    assert resume(lost)[0] == 130  # interrupted again, after its update
    assert resume(lost)[0] == 0
    assert results(lost) == results(whole)


def test_run_without_rows_is_kept_for_resume(configured: Compose, tmp_path: Path, resume: Resume) -> None:
    whole, run = (recorded([configured(*RUN)], tmp_path / name)[0] for name in ("whole", "run"))
    for name in ("rows.jsonl", "run.log", "metrics.parquet", "timings.parquet"):
        (run / name).unlink()
    (run / "checkpoint" / "last.safetensors").unlink()
    with pytest.raises(UserError, match="pgexp-resume"):
        require_new(run)
    assert resume(run)[0] == 0
    assert results(run) == results(whole)


def test_complete_run_is_unchanged(configured: Compose, tmp_path: Path, resume: Resume) -> None:
    (run,) = recorded([configured(*RUN)], tmp_path / "run")
    before = contents(run)
    code, out, err = resume(run)
    assert (code, err) == (0, "")
    assert out.startswith(f"{run}: all runs are complete.")
    assert contents(run) == before


class TestRefused:
    """Refused commands write nothing."""

    @pytest.fixture
    def run(self, configured: Compose, tmp_path: Path) -> Path:
        return recorded([configured(*RUN, INTERRUPTED)], tmp_path / "run")[0]

    def refused_error(self, resume: Resume, run: Path, *arguments: str) -> str:
        before = contents(run)
        said = error_of(resume(run, *arguments))
        assert contents(run) == before
        return said

    def test_a_second_process(self, run: Path, resume: Resume) -> None:
        with holder(run / ".lock") as process:
            assert f"is in use by process {process.pid}, which trains there" in self.refused_error(resume, run)

    def test_a_changed_config(self, run: Path, resume: Resume) -> None:
        text = (run / "config.json").read_text()
        (run / "config.json").write_text(text.replace('"seed": 0', '"seed": 1'))
        assert "config.json was changed" in self.refused_error(resume, run)

    def test_other_code_without_any_code(self, run: Path, resume: Resume) -> None:
        origin = run / "provenance" / "git.json"
        fields = json.loads(origin.read_text())
        origin.write_text(json.dumps(fields | {"code": "0" * 64}))
        assert "--any-code" in self.refused_error(resume, run)
        assert resume(run, "--any-code")[0] == 0

    @pytest.mark.parametrize("which", ["last", "best"])
    def test_a_damaged_checkpoint(self, run: Path, resume: Resume, which: str) -> None:
        path = run / "checkpoint" / f"{which}.safetensors"
        damaged = bytearray(path.read_bytes())
        damaged[-1] ^= 1
        path.write_bytes(damaged)
        said = self.refused_error(resume, run)
        assert f"{path}: damaged" in said
        assert "remove the file" in said

    def test_a_checkpoint_of_another_run(self, run: Path, resume: Resume, configured: Compose, tmp_path: Path) -> None:
        (other,) = recorded([configured(*RUN, "seed=1")], tmp_path / "other")
        path = run / "checkpoint" / "last.safetensors"
        path.write_bytes((other / "checkpoint" / "last.safetensors").read_bytes())
        assert "is of another run" in self.refused_error(resume, run)

    def test_a_damaged_run_log(self, run: Path, resume: Resume) -> None:
        path = run / "rows.jsonl"
        path.write_text("no row\n" + path.read_text())
        assert "rows.jsonl, line 1" in self.refused_error(resume, run)

    def test_a_folder_without_a_record(self, tmp_path: Path, resume: Resume) -> None:
        assert "manifest.json" in error_of(resume(tmp_path / "nowhere"))

    def test_rows_that_differ_from_the_recorded_ones(self, run: Path, resume: Resume) -> None:
        (run / "checkpoint" / "last.safetensors").unlink()
        path = run / "rows.jsonl"
        path.write_text(path.read_text().replace('"progress/episodes":4', '"progress/episodes":5'))
        code, out, _ = resume(run)
        assert code == 1
        assert f"FAILED  {run}: progress/episodes at 16 steps was recorded as 5.0 and is now 4" in out


def test_masked_secret_must_be_passed_again(configured: Compose, tmp_path: Path, resume: Resume) -> None:
    token = "-".join(("my", "own"))  # not in one piece, since a run keeps the diff of this file
    secret = ("env.id=tests.execution.own.mine:Guarded-v0", f"+env.kwargs.token={token}")
    (whole,) = recorded([configured(*RUN, *secret)], tmp_path / "whole")
    (run,) = recorded([configured(*RUN, *secret, INTERRUPTED)], tmp_path / "run")
    assert "env.kwargs.token" in error_of(resume(run))
    assert "env.kwargs.length" in error_of(resume(run, f"env.kwargs.token={token}", "env.kwargs.length=3"))
    assert resume(run, f"env.kwargs.token={token}")[0] == 0
    assert results(run) == results(whole)
    assert not [path for path, held in contents(run).items() if token.encode() in held]


class TestExtended:
    """Budgets of 32 steps, extended to 64."""

    def trained(self, configured: Compose, folder: Path, *overrides: str) -> Path:
        return recorded([configured(*RUN, *overrides)], folder)[0]

    @pytest.mark.parametrize("overrides", [(), SEGMENTS], ids=["episodes", "segments"])
    def test_extended_run_with_a_constant_rate_is_exact(
        self, configured: Compose, tmp_path: Path, resume: Resume, overrides: Sequence[str]
    ) -> None:
        short = self.trained(configured, tmp_path / "short", CONSTANT, *overrides)
        whole = self.trained(configured, tmp_path / "whole", CONSTANT, *overrides, "budget.steps=64")
        before, new = contents(short), tmp_path / "new"
        code, out, _ = resume(short, "budget.steps=64", f"folder={new}")
        assert code == 0
        assert f"The runs continue in {new}.\nResults equal those of " in out
        assert results(new) == results(whole)
        assert contents(short) == before
        kept = [(folder / "checkpoint").glob("*") for folder in (new, whole)]
        for here, there in zip(*map(sorted, kept), strict=True):
            assert_same_tree(read_checkpoint(here), read_checkpoint(there))
        (extended,), (undivided,) = load_manifest(new).runs, load_manifest(whole).runs
        assert extended.key == undivided.key
        assert extended.tags["pgexp.extends"] == load_manifest(short).runs[0].key
        assert extended.tags["pgexp.extended_exactly"] == "true"

    def test_extended_run_with_a_schedule_has_another_key(
        self, configured: Compose, tmp_path: Path, resume: Resume
    ) -> None:
        short = self.trained(configured, tmp_path / "short", "schedule=linear")
        whole = self.trained(configured, tmp_path / "whole", "schedule=linear", "budget.steps=64")
        code, out, _ = resume(short, "budget.steps=64", f"folder={tmp_path / 'new'}")
        assert code == 0
        assert "Results differ from " in out
        assert results(tmp_path / "new") != results(whole)
        (extended,), (undivided,) = load_manifest(tmp_path / "new").runs, load_manifest(whole).runs
        assert extended.key not in (undivided.key, load_manifest(short).runs[0].key)
        assert extended.configuration != undivided.configuration
        assert extended.tags["pgexp.extended_exactly"] == "false"

    @pytest.mark.slow
    def test_interrupted_extended_run_keeps_its_key(self, configured: Compose, tmp_path: Path, resume: Resume) -> None:
        late = f"env.kwargs.when={episode_seed(0, 'env', 0, 5)}"  # in the sixth batch, which the extension added
        whole, short = (
            self.trained(configured, tmp_path / deed, "schedule=linear", late, f"env.kwargs.deed={deed}")
            for deed in ("none", "SIGINT")
        )
        new, undisturbed = tmp_path / "new", tmp_path / "undisturbed"
        assert resume(short, "budget.steps=64", f"folder={new}")[0] == 130
        assert resume(new)[0] == 0
        assert resume(whole, "budget.steps=64", f"folder={undisturbed}")[0] == 0
        assert results(new) == results(undisturbed)

    @pytest.mark.slow
    def test_every_run_of_a_sweep_is_extended(self, configured: Compose, tmp_path: Path, resume: Resume) -> None:
        def sweep(name: str, *overrides: str) -> list[Path]:
            configs = [configured(*RUN, CONSTANT, *overrides, f"seed={seed}") for seed in (0, 1)]
            return recorded(configs, tmp_path / name, sweep=True)

        short, whole = sweep("short"), sweep("whole", "budget.steps=64")
        assert resume(short[0].parent, "budget.steps=64", f"folder={tmp_path / 'new'}")[0] == 0
        assert results(tmp_path / "new" / "0", tmp_path / "new" / "1") == results(*whole)

    @pytest.mark.slow
    def test_budget_of_episodes_is_extended(self, configured: Compose, tmp_path: Path, resume: Resume) -> None:
        short = self.trained(configured, tmp_path / "short", CONSTANT, "budget={steps:null,episodes:8}")
        whole = self.trained(configured, tmp_path / "whole", CONSTANT, "budget={steps:null,episodes:20}")
        assert resume(short, "budget.episodes=20", f"folder={tmp_path / 'new'}")[0] == 0
        assert results(tmp_path / "new") == results(whole)

    @pytest.mark.parametrize("steps", [31, 32])
    def test_budget_must_be_longer(self, configured: Compose, tmp_path: Path, resume: Resume, steps: int) -> None:
        short, new = self.trained(configured, tmp_path / "short"), tmp_path / "new"
        assert "must be more than the 32 that" in error_of(resume(short, f"budget.steps={steps}", f"folder={new}"))
        assert not new.exists()

    def test_folder_must_be_empty(self, configured: Compose, tmp_path: Path, resume: Resume) -> None:
        short, new = self.trained(configured, tmp_path / "short"), tmp_path / "new"
        new.mkdir()
        (new / "notes.txt").touch()
        assert f"{new} is not empty" in error_of(resume(short, "budget.steps=64", f"folder={new}"))
        assert [*contents(new)] == [Path("notes.txt")]

    def test_unfinished_run_cannot_be_extended(self, configured: Compose, tmp_path: Path, resume: Resume) -> None:
        run, new = self.trained(configured, tmp_path / "run", INTERRUPTED), tmp_path / "new"
        said = error_of(resume(run, "budget.steps=64", f"folder={new}"))
        assert "has not spent its budget yet" in said
        assert not new.exists()
