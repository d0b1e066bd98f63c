"""Subcommands of `launch.py`, one file each: flags and messages, no logic worth importing."""

import importlib
import io
import os
import sys
import threading
import traceback
from pathlib import Path

from absl import flags

from cnnlab.errors import LostProcess, UserError, explain_os_error
from cnnlab.launch import jobs
from cnnlab.utils import import_path
from cnnlab.utils.installation import as_typed
from cnnlab.utils.malloc import keep_freed_memory
from cnnlab.utils.registry import suggest
from cnnlab.utils.signals import INTERRUPTED

COMMANDS = {
    "train": "train what a config describes; the default",
    "sweep": "train a config many times over: grids, random draws, seeds, adaptive search",
    "eval": "evaluate a checkpoint of a run",
    "status": "show runs and their jobs: queued, running, finished, failed and why",
    "config": "show a config with every default, and draw its learning rate",
    "models": "list the models",
    "layers": "list the layers with paper, formula and check; show or draw one",
    "data": "list the data sets, show one, prepare one",
}

OVERVIEW = """cnnlab: the convolutional-network course as a laboratory.

usage: python launch.py [command] [arguments] [--flags]

{commands}

`python launch.py <command> --help` shows a command's flags, with examples.
First steps:
  python launch.py train --config=configs/digits_lenet5.py --workdir=runs/digits
  python launch.py eval --workdir=runs/digits --checkpoint=best
"""


def _split(arguments: list[str]) -> tuple[str, list[str]]:
    if arguments and not arguments[0].startswith("-"):
        if arguments[0] not in COMMANDS:
            raise UserError(f"unknown command '{arguments[0]}'{suggest(arguments[0], COMMANDS)}")
        return arguments[0], arguments[1:]
    return "train", arguments


def _explain(error: BaseException) -> str | None:
    """Return one line for a failure that a person can mend, None for a bug of this program."""
    seen: BaseException | None = error
    itself = True
    while seen is not None:
        if isinstance(seen, UserError):
            return str(seen)
        line = explain_os_error(seen, itself=itself) or import_path.explain(seen)
        if line is not None:
            return line
        # What was being handled when it was raised need not have caused it.
        itself = itself and seen.__cause__ is not None
        seen = seen.__cause__ or seen.__context__
    return None


def _no_backend(error: BaseException) -> str | None:
    """Return what is wrong where jax finds no devices of the kind that it was asked for."""
    wanted = os.environ.get("JAX_PLATFORMS")
    frames = traceback.extract_tb(error.__traceback__)
    if not (wanted and frames and Path(frames[-1].filename).name == "xla_bridge.py"):
        return None
    # jax has no words for some kinds.
    said = f" ({str(error).partition(' (set ')[0]})" if str(error) else ""
    return f"JAX_PLATFORMS={wanted}: jax has no such devices here; unset it, or say cpu{said}"


def _hush() -> None:
    """Let background threads and destructors be silent about what `main` explains.

    A save that fails in a thread of Orbax is raised again where the loop waits for it; what its
    coroutines complain of when they are abandoned changes nothing.
    """

    def thread_hook(failure):
        if failure.exc_value is None or _explain(failure.exc_value) is None:
            threading.__excepthook__(failure)

    def hook(kind, error, trace):
        if "Event loop is closed" not in str(error):
            sys.__excepthook__(kind, error, trace)

    threading.excepthook, sys.excepthook = thread_hook, hook
    sys.unraisablehook = lambda _: None


def main(arguments: list[str]) -> int:
    """Run a command; return the exit status: 0 done, 1 an error explained, 130 Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's encoding lacks is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    try:
        if arguments and arguments[0] in ("--help", "-h", "help"):
            width = max(map(len, COMMANDS))
            listing = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
            print(as_typed(OVERVIEW.format(commands=listing)), flush=True)
            return 0
        command, rest = _split(arguments)
        import_path.search(Path.cwd())
        from cnnlab.commands.parsing import parse
        from cnnlab.utils.console import set_up_logging

        set_up_logging()
        parsed = parse(command, rest)
        if parsed is None:
            return 0
        _hush()
        keep_freed_memory()
        # Libraries that read absl's own flags (Grain's worker processes) need them parsed.
        flags.FLAGS(["launch.py"], known_only=True)
        return importlib.import_module(f"cnnlab.commands.{command}").run(*parsed)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        return 130
    except BrokenPipeError:
        # What reads the output has seen enough; the interpreter must not flush into it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    # Code of one's own may call sys.exit().
    except (Exception, SystemExit) as error:
        message = _explain(error) or _no_backend(error)
        if message is None:
            raise
        from cnnlab.utils.console import printable

        print(f"error: {printable(as_typed(message))}", file=sys.stderr)
        jobs.failed(message, explained=not isinstance(error, LostProcess))
        return 1
