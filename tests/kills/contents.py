"""Contents of a sweep's folder and of its MLflow database."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from safetensors import safe_open

from pgexp.runs.checkpoint import read_checkpoint
from pgexp.runs.run_log import End, RunLogReader
from pgexp.schema import names

RUNS = range(4)
CHECKPOINTS = ("last", "best")

_OF_RUNS = "select run_uuid, name, status from runs where lifecycle_stage = 'active'"
# Only the latest aggregates over seeds: earlier ones depend on the order in which the seeds ended.
_POINTS = """select run_uuid, key, step, value, is_nan from metrics where key not like 'over_seeds/%'
             union select run_uuid, key, step, value, is_nan from latest_metrics where key like 'over_seeds/%'"""
_IDENTITY = (names.TAG_ROLE, names.TAG_CONFIGURATION, names.TAG_KEY, names.TAG_ROWS_SYNCED)


def of_folder(sweep: Path) -> dict[str, bytes | str]:
    """Return the contents of a sweep's folder that depend on the runs' identities only; digests of checkpoints."""
    found: dict[str, bytes | str] = {}
    for run in RUNS:
        folder = sweep / str(run)
        for name in ("metrics.parquet", "policy/policy.safetensors", "policy/policy.json", "config.json"):
            found[f"{run}/{name}"] = (folder / name).read_bytes()
        for which in CHECKPOINTS:
            path = folder / "checkpoint" / f"{which}.safetensors"
            read_checkpoint(path)  # verifies the digest
            with safe_open(path, framework="numpy") as file:
                found[f"{run}/{which}"] = file.metadata()["digest"]
    return found


def of_store(database: Path) -> dict[str, list[object]]:
    """Return the contents of a store's runs without timings, in an order that depends on the contents only."""
    with closing(sqlite3.connect(database)) as connection:
        tags, params, points = (defaultdict[str, list[tuple[object, ...]]](list) for _ in range(3))
        for run, *tag in connection.execute("select run_uuid, key, value from tags"):
            tags[run].append(tuple(tag))
        for run, *param in connection.execute("select run_uuid, key, value from params"):
            params[run].append(tuple(param))
        for run, name, *point in connection.execute(_POINTS):
            if not name.startswith(names.TIMING):
                points[run].append((name, *point))
        found: dict[str, list[object]] = {}
        for run, name, status in connection.execute(_OF_RUNS):  # a sweep's name has its date
            run_tags = dict(tags[run])
            place = f"{run_tags[names.TAG_ROLE]} {run_tags.get(names.TAG_KEY, run_tags.get(names.TAG_CONFIGURATION))}"
            assert place not in found, f"two runs: {name}"
            identity = [run_tags.get(tag) for tag in _IDENTITY]
            found[place] = [status, identity, sorted(run_tags), sorted(params[run]), sorted(points[run])]
        return found


def differences(found: Mapping[str, object], expected: Mapping[str, object]) -> list[str]:
    """Return the keys at which two contents differ."""
    return sorted(place for place in found.keys() | expected.keys() if found.get(place) != expected.get(place))


def hit(sweep: Path) -> str:
    """Return the stage of a sweep at which a command was killed."""
    if not (sweep / names.MANIFEST_FILE).exists():
        return "before the manifest"
    if any(sweep.glob("*/checkpoint/.*")):
        return "in a checkpoint"
    spools = [RunLogReader(sweep / str(run) / names.ROWS_FILE).read() for run in RUNS]
    if not any(spools):
        return "before the first row"
    if all(items and isinstance(items[-1], End) and items[-1].complete for items in spools):
        return "during the export"
    return "in training"
