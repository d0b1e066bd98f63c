"""Imports run downwards only, as docs/architecture.md draws the packages."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# From the bottom up; packages of one row may import each other.
ROWS = (
    ("cnnlab.errors", "cnnlab.geometry", "cnnlab.utils"),
    ("cnnlab.data", "cnnlab.launch", "cnnlab.layers", "cnnlab.losses", "cnnlab.metrics"),
    (
        "cnnlab.analysis",
        "cnnlab.classical",
        "cnnlab.evaluators",
        "cnnlab.models",
        "cnnlab.plots",
        "cnnlab.pretrained",
    ),
    ("cnnlab.objectives", "experiments"),
    ("cnnlab.training",),
    ("cnnlab.config", "cnnlab.config_entries", "cnnlab.config_file"),
    ("cnnlab.config_docs", "cnnlab.runs"),
    ("cnnlab.sweeps",),
    ("cnnlab.commands",),
)
# What starts a command, and what reads one as `launch.py` does.
EXCEPTIONS = {
    ("cnnlab/launch/worker.py", "cnnlab.commands"),
    ("cnnlab/sweeps/points.py", "cnnlab.commands.parsing.parse"),
}
RANK = {name: number for number, row in enumerate(ROWS) for name in row}


def imported(path):
    """Return the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rank(module):
    """Return the row of a module, or None of one of another project."""
    return next((RANK[n] for n in RANK if module == n or module.startswith(f"{n}.")), None)


def test_no_module_imports_from_a_row_above():
    upwards = []
    for path in sorted([*ROOT.glob("cnnlab/**/*.py"), *ROOT.glob("experiments/*.py")]):
        name = path.relative_to(ROOT)
        own = rank(".".join(name.with_suffix("").parts))
        for module in imported(path) if own is not None else ():
            if (rank(module) or 0) > own and (name.as_posix(), module) not in EXCEPTIONS:
                upwards.append(f"{name} imports {module}")
    assert not upwards, "\n".join(upwards)
