"""The folder of a run: its config, its environment and its results."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from cnnlab.errors import UserError
from cnnlab.utils import import_path, old_names
from cnnlab.utils.files import read_json, write_json
from cnnlab.utils.installation import IN_CHECKOUT, ROOT
from cnnlab.utils.registry import whole

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "cnnlab")

# What is read of config.json before it is completed with today's entries.
CONFIG = {
    "steps?": int,
    "checkpoint?": {"best?": str, "mode?": str},
    **dict.fromkeys(("experiment?", "model?", "data?", "parallel?", "evaluate?"), dict),
}
# What result.json holds; earlier versions had fewer entries.
NUMBERS = {str: (float, int)}
RESULT = {
    "reason": str,
    **dict.fromkeys(("steps", "seed", "parameters"), int),
    "seconds": (float, int),
    "results": {str: NUMBERS},
    "floors": {str: NUMBERS},
    "examples": {str: int},
    "skipped": {str: int},
    "representation?": [{"values": NUMBERS, str: object}],
    "pending?": bool,
    "missing?": {str: str},
}


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested entries under dotted names; tuples as lists, as JSON has them."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
            # An empty entry says something too: no augmentation at all, say.
            flat |= {f"{prefix}{key}": {}} if not value else {}
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a line for every entry in which two configs differ."""
    before, after = flatten(old), flatten(new)
    absent = "(absent)"
    return [
        f"{name}: {before.get(name, absent)} -> {after.get(name, absent)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name, absent) != after.get(name, absent)
    ]


def environment() -> dict[str, Any]:
    """Return versions, devices and the commit of the code that is running."""
    import jax

    def git(*arguments: str) -> str:
        try:
            command = ["git", "-C", str(ROOT), *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            return ""

    # An installed package may lie within a repository that is not its own.
    commit = git("rev-parse", "HEAD").strip() if IN_CHECKOUT else ""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": versions,
        "devices": [str(device) for device in jax.devices()],
        "device_kind": jax.devices()[0].device_kind,
        "processes": jax.process_count(),
        "commit": commit or "unknown",
        "dirty": bool(git("status", "--porcelain").strip()) if commit else "unknown",
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def open_run(
    workdir: Path,
    config: Mapping[str, Any],
    *,
    on_change: str = "stop",
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> list[str]:
    """Make or reopen a run folder; return the differences to the config it was made with.

    Nothing is written yet: `record` does that, once the config has proved to work.

    Args:
        workdir: the folder.
        config: the whole config, as nested plain values.
        on_change: what to do when the folder was made with another config: `stop`, `accept`, or
            `restart` from an empty folder.
        complete: gives both configs the same entries, of whatever version they are.

    Raises:
        UserError: if the folder cannot be written, or was made with another config.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workdir):
            pass
    except OSError as error:
        why = error.strerror
        if workdir.is_symlink() and isinstance(error, FileExistsError):
            why = f"it is a link to {workdir.readlink()}, which does not exist"
        raise UserError(
            f"cannot write in --workdir={workdir}: {why}; name another folder"
        ) from error
    path = workdir / "config.json"
    plain = json.loads(json.dumps(config))
    if path.exists():
        changed = difference(complete(read_config(workdir)), complete(plain))
        # Nothing is lost where nothing was saved yet.
        if changed and has_checkpoints(workdir) and on_change == "stop":
            lines = "\n  ".join(changed)
            raise UserError(
                f"{workdir} holds a run with another config:\n  {lines}\n"
                "name another --workdir, or continue with the new config: --on_change=accept"
            )
        if changed and on_change == "restart":
            shutil.rmtree(workdir)
            workdir.mkdir()
    else:
        changed = []
        # A launcher makes jobs/ before the run starts, for its own records.
        entries = [p.name for p in workdir.iterdir() if p.name != "jobs"]
        others = [name for name in entries if not name.startswith(".")]
        if others:
            raise UserError(
                f"--workdir={workdir} holds '{sorted(others)[0]}' but no run (config.json): "
                "name an empty or a new folder"
            )
    return changed


def is_finished(workdir: Path) -> bool:
    """Return whether a run is done, with nothing left that the same command would compute."""
    try:
        return not open_ends(workdir)
    except FileNotFoundError:
        return False


def open_ends(workdir: Path) -> list[str]:
    """Return what the result of a run lacks; raises as `read_result`."""
    result = read_result(workdir, {f"{name.rstrip('?')}?": form for name, form in RESULT.items()})
    pending = ["what is compared with it"] if result.get("pending") else []
    return [*result.get("missing", {}), *pending]


def has_checkpoints(workdir: Path) -> bool:
    """Return whether a run has saved anything that it would go on from."""
    return any((workdir / "checkpoints").glob("[0-9]*"))


def last_step(workdir: Path) -> int:
    """Return the step of the newest checkpoint; 0 without any."""
    found = (workdir / "checkpoints").glob("[0-9]*")
    return max((whole(path.name) or 0 for path in found), default=0)


def check_length(workdir: Path, done: int, steps: int) -> None:
    """Raise a `UserError` for a run that has more steps behind it than its config asks for."""
    if done > steps:
        raise UserError(
            f"{workdir} has {done} steps behind it, the config asks for {steps}: set "
            f"--config.steps={done} or more, evaluate an earlier checkpoint (python launch.py eval "
            f"--workdir={workdir} --checkpoint=STEP), or name another --workdir"
        )


def record(workdir: Path, config: Mapping[str, Any]) -> None:
    """Write the config and the environment that the run now goes on with.

    The environment has the folders of a person's own modules that the config names.
    """
    write_json(workdir / "config.json", config)
    modules = import_path.roots(flatten(config).values())
    write_json(workdir / "environment.json", environment() | {"modules": modules})


def read_config(workdir: Path) -> dict[str, Any]:
    """Return the config that a run folder was made with, under the present names of its entries.

    Modules that it names can be found afterwards.

    Raises:
        UserError: if the folder holds no run, or its config is damaged.
    """
    path = workdir / "config.json"
    try:
        config = old_names.updated(
            read_json(path, CONFIG, remedy="restore it, or use a new folder")
        )
    except FileNotFoundError:
        raise UserError(f"no run in {workdir}: there is no config.json") from None
    # A run of an earlier version, or one that has not started, names no modules.
    with contextlib.suppress(FileNotFoundError):
        form = {"modules?": {str: str}}
        written = read_json(workdir / "environment.json", form, remedy="remove it")
        for folder in written.get("modules", {}).values():
            import_path.search(folder)
    return config


def read_result(workdir: Path, form: Any = RESULT) -> dict[str, Any]:
    """Return the numbers that a finished run has written.

    Args:
        workdir: of the run.
        form: the entries that are wanted, as `files.parse_json` takes them.

    Raises:
        FileNotFoundError: it is not finished.
        UserError: its result.json is damaged.
    """
    remedy = "remove it; the run's own command writes it anew from the last checkpoint"
    return read_json(workdir / "result.json", form, remedy=remedy)


def last_results(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of the last step of a result, by `split/metric`."""
    # A file has its entries in the order of their names, the best before the last.
    return next((v for k, v in result["results"].items() if k.startswith("last")), {})


def load_config(workdir: Path) -> ConfigDict:
    """Return the config of a run as it was when the run was made, locked."""

    def tuples(value):
        if isinstance(value, dict):
            return {key: tuples(entry) for key, entry in value.items()}
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return ConfigDict(tuples(read_config(workdir))).lock()
