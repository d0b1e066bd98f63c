"""No file uses a name that it does not define.

The linter's rule (F821) is off: it takes the axes of jaxtyping's shapes for names.
"""

import builtins
import symtable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("cnnlab", "experiments", "configs", "benchmarks", "tests")
FILES = [*ROOT.glob("*.py"), *(file for name in FOLDERS for file in ROOT.glob(f"{name}/**/*.py"))]
KNOWN = {*dir(builtins), "__file__", "__name__", "__doc__", "__spec__", "__path__"}


def undefined(source: str, name: str) -> set[str]:
    """Return the global names that are used and never bound in a file."""
    top = symtable.symtable(source, name, "exec")
    bound = set(KNOWN)
    used = set()

    def walk(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            binds = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
            if binds and (table is top or symbol.is_declared_global()):
                bound.add(symbol.get_name())
            if symbol.is_referenced() and (symbol.is_global() or table is top):
                used.add(symbol.get_name())
        for child in table.get_children():
            walk(child)

    walk(top)
    return used - bound


@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_every_name_is_defined(folder):
    found = {
        str(path.relative_to(ROOT)): names
        for path in FILES
        if (path.relative_to(ROOT).parts[0] if len(path.relative_to(ROOT).parts) > 1 else "")
        == folder
        and (names := undefined(path.read_text(), str(path)))
    }
    assert found == {}


def test_a_name_that_is_nowhere_is_found():
    source = """
import os

def f(x: 'Float[Array, "b c"]'):
    return os.path, io, x, [y for y in x]
"""
    assert undefined(source, "it.py") == {"io"}
