"""Evaluators on the command line: `--evaluator=knn --k=20 --evaluator=linear_probe`.

A flag behind an `--evaluator` that the command does not have is a keyword of it. One in front of
the first belongs to the first; names with commas between share their keywords. What is named twice
with the same keywords is one.
"""

import json
from collections.abc import Collection

from cnnlab.errors import UserError
from cnnlab.utils.registry import nearest

FLAG = "evaluator"


def rewrite(arguments: list[str], flags: Collection[str]) -> list[str]:
    """Return arguments with every `--evaluator` and its keywords as one, to be read by `chosen`.

    Args:
        arguments: of the command line.
        flags: names of the command's own flags.

    Raises:
        UserError: for a keyword of evaluators without an `--evaluator`.
    """
    others: list[str] = []
    groups: list[tuple[str, dict[str, str]]] = []
    before: list[tuple[str, str, str]] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, text = argument.lstrip("-").partition("=")
        # What is nearly a flag is a slip, and refused as one.
        own = name.startswith("config.") or nearest(name, flags, cutoff=0.8)
        if not argument.startswith("-") or (own and name != FLAG):
            others.append(argument)
            continue
        given = argument
        if not equals and rest and not rest[0].startswith("-"):
            text = rest.pop(0)
            given = f"{argument}={text}"
        elif not equals:
            text = "true"
        if name == FLAG:
            groups.append((text, {}))
        elif groups:
            groups[-1][1][name] = text
        else:
            before.append((name, text, given))
    if not groups:
        for name, *_ in before:
            _refuse_keyword(name)
        return [*others, *(given for *_, given in before)]
    groups[0][1].update({name: text for name, text, _ in before})
    return [*others, *(f"--{FLAG}={json.dumps(group)}" for group in groups)]


def _refuse_keyword(name: str) -> None:
    from cnnlab import config as cfg
    from cnnlab.evaluators import EVALUATORS

    entries = cfg.evaluators(**{kind: {} for kind in EVALUATORS})
    own = [kind for kind, entry in entries.items() if name in entry]
    if own:
        whose = ", ".join(own) if len(own) < len(entries) else "NAME"
        raise UserError(f"--{name} goes behind --{FLAG}={whose}")


def chosen(texts: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Return names of evaluators with the text of each keyword, from the flag's values.

    Raises:
        UserError: a value names none.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for text in texts:
        written, keywords = json.loads(text)
        names = [name.strip() for name in written.split(",") if name.strip()]
        if not names:
            raise UserError(f"--{FLAG} names none: leave it out for those of the config")
        for name in names:
            if (name, keywords) not in found:
                found.append((name, keywords))
    return found
