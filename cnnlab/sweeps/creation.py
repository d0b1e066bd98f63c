"""The folder of a sweep made, or opened again and compared with what it was made for."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from cnnlab import config as cfg
from cnnlab.errors import NO_ROOM, UserError
from cnnlab.sweeps.settings import Settings
from cnnlab.training.run_folder import difference
from cnnlab.utils.files import damaged, read_json, write_json

FOLDERS = ("trials", "states", "logs", "locks", "points")
# What may change in a folder: no trial would have been another for it. The overrides are in `base`.
FREE = ("config", "overrides", "sweep", "trials")
REPORTED = ("metric", "mode")
FORM = {
    **dict.fromkeys(("config", "sweep", "metric", "mode", "search", "pruner"), str),
    **dict.fromkeys(("overrides", "base"), dict),
    "points": [dict],
    **dict.fromkeys(("repeat", "trials"), int),
}


def make_folder(path: Path, settings: Settings) -> None:
    """Make the folder of a sweep, or check that it is this sweep's.

    Raises:
        UserError: as `SweepFolder.create`.
    """
    file = path / "sweep.json"
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            others = sorted(
                p.name
                for p in path.iterdir()
                if p.name not in (*FOLDERS, "jobs", "sweep.json")
                and not p.name.startswith(".")
                and p.suffix != ".tmp"
            )
            if others:
                raise UserError(
                    f"--workdir={path} holds '{others[0]}' but no sweep (sweep.json): "
                    "name an empty or a new folder"
                )
        for name in FOLDERS:
            (path / name).mkdir(exist_ok=True)
        if not file.exists() and _write_first(file, settings.to_json()):
            return
        with tempfile.TemporaryFile(dir=path / "locks"):
            pass
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise UserError(
            f"cannot write in --workdir={path}: {error.strerror}; name another folder"
        ) from error
    _compare(path, settings)


def read_settings(path: Path) -> Settings:
    """Return what a sweep was asked to do.

    Raises:
        UserError: if there is no sweep in the folder, or its sweep.json is damaged.
    """
    file = path / "sweep.json"
    remedy = "restore it, or use a new folder"
    try:
        saved = read_json(file, FORM, remedy=remedy)
    except FileNotFoundError:
        raise UserError(f"no sweep in {path}: there is no sweep.json") from None
    try:
        return Settings.from_json(saved)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise damaged(file, repr(error), remedy) from None


def _write_first(file: Path, values: dict[str, Any]) -> bool:
    """Write a file that is not there; return False if another process was quicker."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".tmp") as temporary:
        json.dump(values, temporary, indent=1)
        temporary.flush()
        try:
            os.link(temporary.name, file)
        except FileExistsError:
            return False
    return True


def _compare(path: Path, settings: Settings) -> None:
    old, new = read_settings(path), settings
    before, after = _compared(old), _compared(new)
    changed = difference(before, after)
    if changed:
        shown = [line for line in changed if len(line) < 200] or ["the points differ"]
        more = f"\n  and {len(changed) - 20} more" if len(changed) > 20 else ""
        raise UserError(
            f"{path} holds another sweep:\n  " + "\n  ".join(shown[:20]) + more + "\n"
            "name another --workdir, or start the sweep that the folder was made for"
        )
    if json.dumps(old.to_json()) != json.dumps(new.to_json()):
        write_json(path / "sweep.json", new.to_json())


def _compared(settings: Settings) -> dict[str, Any]:
    free = FREE if settings.search else FREE + REPORTED
    values = {k: v for k, v in json.loads(json.dumps(settings.to_json())).items() if k not in free}
    values["base"] = cfg.completed(_nested(values["base"]))
    values["points"] = {f"{number}": point for number, point in enumerate(values["points"])}
    return values


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Return the entries that dotted names stand for."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        entry = nested
        for part in path:
            entry = entry.setdefault(part, {})
        entry[last] = value
    return nested
