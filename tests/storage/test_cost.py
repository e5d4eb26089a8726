"""Cost of a run, measured with clocks that the test sets."""

import json
import time
from pathlib import Path

import pytest

from pgexp.storage.cost import Meter


class Clocks:
    wall = 100.0
    cpu = 50.0


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(time, "perf_counter", lambda: clocks.wall)
    monkeypatch.setattr(time, "process_time", lambda: clocks.cpu)
    return clocks


def cost(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "provenance" / "cost.json").read_text())
    return found


def test_the_cost_of_a_run_is_its_seconds_of_both_clocks(clocks: Clocks, tmp_path: Path) -> None:
    meter = Meter()
    clocks.wall, clocks.cpu = 112.25, 53.5
    meter.write(tmp_path)
    assert cost(tmp_path) == {"wall_seconds": 12.25, "cpu_seconds": 3.5, "parts": 1}


def test_a_resumed_run_costs_the_sum_of_its_parts(clocks: Clocks, tmp_path: Path) -> None:
    for _ in range(2):
        meter = Meter()
        clocks.wall += 2
        clocks.cpu += 1
        meter.write(tmp_path)
        clocks.wall += 1000  # between the parts
    assert cost(tmp_path) == {"wall_seconds": 4, "cpu_seconds": 2, "parts": 2}


def test_the_seconds_are_counted_from_the_meter_s_making(tmp_path: Path) -> None:
    before = time.perf_counter()
    meter = Meter()
    meter.write(tmp_path)
    assert 0 <= cost(tmp_path)["wall_seconds"] <= time.perf_counter() - before + 0.001
