import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "analysis" / "notebook" / "from_sweep_to_figure.ipynb"
STEMS = ("learning_curves", "learning_curves-narrow", "pairs", "pairs-narrow")
FILES = [f"{stem}.{kind}" for stem in STEMS for kind in ("png", "svg", "pdf")]


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells):
    return [output for cell in cells for output in cell.outputs]


@pytest.mark.slow
def test_every_cell_runs_from_top_to_bottom_without_a_warning(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    folder = tmp_path / "work"
    folder.mkdir()
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    of_python = outputs(code_cells(notebook)[1:])  # the first is a command of the shell, which tells its progress
    assert not [output for output in of_python if output.get("name") == "stderr"]
    assert {*FILES, "learning_curves.csv", "pairs.csv", "summary.tex"} <= {path.name for path in folder.iterdir()}


def test_what_is_committed_was_executed_in_order_without_an_error(notebook):
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for output in outputs(cells) if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs(cells)) == 2
