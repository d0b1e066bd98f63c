"""What a person sees: one console on stderr that the log and the progress bar share."""

import logging

from rich.console import Console
from rich.logging import RichHandler

LOG = logging.getLogger("cnnlab")


def output(width: int | None = None, *, stderr: bool = False) -> Console:
    """Return a console that shows names and paths as they are.

    Brackets in them are no markup, and colons no emoji.
    """
    return Console(width=width, stderr=stderr, highlight=False, markup=False, emoji=False)


console = output(stderr=True)


def set_up_logging() -> None:
    """Send this project's messages to the console, and nothing of the libraries.

    What goes wrong in them is raised, and explained or shown as a traceback by the front door.
    """
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=True)
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    for noisy in ("absl", "asyncio", "concurrent.futures", "etils", "jax", "orbax", "tensorboardX"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
