"""What docstrings in Google's style say of arguments and attributes."""

import inspect
import re

SECTION = re.compile(r"(\w+):")
ENTRY = re.compile(r"    (\w[\w.*, ]*): (.*)")


def arguments(text: str | None) -> dict[str, str]:
    """Return the description of each name in the sections Args and Attributes of a docstring.

    `a, b: text` describes both; lines that are indented further belong to the description above.
    """
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in inspect.cleandoc(text or "").splitlines():
        if line and not line.startswith(" "):
            section = SECTION.fullmatch(line)
            inside, names = bool(section and section[1] in ("Args", "Attributes")), []
        elif inside and (entry := ENTRY.fullmatch(line)):
            names = entry[1].split(", ")
            found.update(dict.fromkeys(names, entry[2]))
        elif inside and line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return found


def first_line(text: str | None) -> str:
    """Return the first line of a docstring."""
    return inspect.cleandoc(text or "").partition("\n")[0]
