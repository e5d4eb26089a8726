"""Which runs a comparison is of: sweeps by id or folder, single runs, or all that a store holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pgexp.comparison.store import DEFAULT_URI, ComparisonError, curves_link, open_ui, shown

if TYPE_CHECKING:
    import pandas as pd

    from pgexp.storage.record import Record


@dataclass(frozen=True)
class Choice:
    """The runs that are meant, and where they stand.

    Either a store's: those of the sweeps or of the ids, of all where both are None; or, where there are folders, what
    stands in these, and uri is where they were to be recorded. name is what they are called.
    """

    uri: str = DEFAULT_URI
    experiment: str | None = None
    sweeps: Sequence[str] | None = None
    ids: Sequence[str] | None = None
    folders: Sequence[Path] = ()
    name: str = "all"

    def runs(self) -> "pd.DataFrame":
        """Return the frame of the runs."""
        from pgexp.comparison import frames

        if self.folders:
            return frames.runs(self.folders)
        return frames.runs(self.uri, self.experiment, self.sweeps, self.ids)

    def choosing(self, runs: "pd.DataFrame") -> "pd.DataFrame":
        """Return the frame of the runs by whose seeds the configurations of these were chosen; none if it is gone."""
        from pgexp.comparison import frames
        from pgexp.comparison.selecting import origins

        sweeps = origins(runs)
        try:
            return frames.runs(self.uri, sweeps=sweeps) if sweeps else runs[:0]
        except ComparisonError:
            return runs[:0]  # what is compared stands in folders, whose store is not here

    @property
    def folder(self) -> Path:
        """Where their comparison is written to; a sweep's id may come from a store that others write."""
        if self.name in ("", ".", "..") or "/" in self.name:
            raise ComparisonError(f"the sweep's id {self.name!r} is no name of a folder: choose one with --out")
        return Path("comparison") / self.name

    @property
    def where(self) -> str:
        """What holds the runs, as a sentence names it."""
        return ", ".join(map(str, self.folders)) or shown(self.uri)

    @property
    def footer(self) -> str:
        """What tells where the runs are recorded, and how to look at them there."""
        if self.folders:
            return f"Read from {self.where}, since no store knows of it."
        link = curves_link(self.uri, self.sweeps[0]) if self.sweeps and len(self.sweeps) == 1 else None
        curves = f"\nThe learning curves there: {link}" if link else ""
        return f"Recorded in {self.where}; to browse: {open_ui(self.uri)}{curves}"


def chosen(
    named: Sequence[str], ids: Sequence[str] | None, everything: bool, uri: str | None, experiment: str | None
) -> Choice:
    """Return the runs that a command line means; the newest sweep's, if it names none.

    named are sweeps: ids, beginnings of ids, or folders. A folder's runs are read from the store that is given, or else
    from that which its sweep was recorded in; where that one is not there, or does not know the sweep, from the folder
    itself, and so are those in the folder of a single run. ComparisonError for what is not there.
    """
    if ids is not None or everything:
        return Choice(uri or DEFAULT_URI, experiment, ids=ids, name="all" if ids is None else "runs")
    records = {name: _record(Path(name)) for name in named if "/" in name or Path(name).exists()}
    home = uri or _home(list(records.values()))
    if records and home is None:
        other = next((name for name in named if name not in records), None)
        if other is not None:
            raise ComparisonError(
                f"{other} is no folder, and no store holds the folders beside it: name the store by --uri"
            )
        uri = records[named[0]].tracking.uri
        return Choice(
            uri, folders=[Path(name) for name in named], name=_title([_called(records[name]) for name in named])
        )
    return _of_sweeps([_sweep(name, records) for name in named], home or DEFAULT_URI, experiment)


def _of_sweeps(named: Sequence[str], uri: str, experiment: str | None) -> Choice:
    """Return the choice of a store's sweeps, each named by the beginning of its id; of its newest, if none is."""
    from pgexp.comparison import frames, selection

    known = frames.sweeps(uri, experiment)
    sweeps = [selection.find_sweep(text, known) for text in named] or known["sweep"].astype(str).tolist()[:1]
    sweeps = list(dict.fromkeys(sweeps))
    return Choice(uri, experiment, sweeps or None, name=_title(sweeps) if sweeps else "all")


def _home(records: "Sequence[Record]") -> str | None:
    """Return the store that the records' sweeps are in; None where they are in several, or in none that is here."""
    uris = {record.tracking.uri for record in records}
    if len(uris) != 1:
        return None

    from pgexp.comparison import frames

    (uri,) = uris
    try:
        known = set(frames.sweeps(uri)["sweep"])
    except ComparisonError:
        return None
    return uri if all(record.sweep in known for record in records) else None


def _record(folder: Path) -> "Record":
    from pgexp.storage.record import read

    try:
        return read(folder)
    except ValueError as error:
        raise ComparisonError(f"{folder} is the folder of no sweep and of no single run ({error})") from error


def _sweep(name: str, records: "Mapping[str, Record]") -> str:
    if name not in records:
        return name
    sweep = records[name].sweep
    if sweep is None:
        raise ComparisonError(f"{name} is the folder of a single run: name it without --uri, or its id after --runs")
    return sweep


def _called(record: "Record") -> str:
    return record.sweep or record.folder.absolute().name


def _title(sweeps: Sequence[str]) -> str:
    return sweeps[0] + (f"+{len(sweeps) - 1}" if len(sweeps) > 1 else "")
