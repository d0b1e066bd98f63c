"""Command lines: a command's flags parsed, its help, and config errors in plain words."""

import importlib
import re
import sys
import traceback
from pathlib import Path

from absl import flags
from ml_collections.config_flags import config_flags

from cnnlab.choices import suggest
from cnnlab.errors import UserError
from cnnlab.files import expand

HELP = ("--help", "-h", "-help", "--helpfull")


class _Path(flags.ArgumentParser):
    """Reads a path, with `~` and variables."""

    def parse(self, argument: str) -> str:
        return expand(argument)


def define_path(name: str, default: str, help_: str, values: flags.FlagValues) -> None:
    """Define a flag that names a file or a folder; `~` and `$NAME` in it are replaced."""
    serializer: flags.ArgumentSerializer = flags.ArgumentSerializer()
    flags.DEFINE(_Path(), name, default, help_, flag_values=values, serializer=serializer)


def help_text(command: str, text: str, values: flags.FlagValues) -> str:
    """Return a command's docstring, followed by its flags."""
    lines = [text.strip(), "", f"flags of '{command}':"]
    for name in sorted(values):
        flag = values[name]
        default = "" if flag.default in (None, "", []) else f" (default: {flag.default})"
        lines.append(f"  --{name}: {flag.help}{default}")
    return "\n".join(lines)


def parse(command: str, arguments: list[str]) -> tuple[flags.FlagValues, list[str]] | None:
    """Return a command's flags and its other arguments, or None once its help is printed.

    Raises:
        UserError: for a flag or a config entry that does not exist, with the nearest that does,
            for a value of the wrong type, and for a config file that cannot be loaded.
    """
    module = importlib.import_module(f"cnnlab.commands.{command}")
    values = flags.FlagValues()
    module.define(values)
    if any(argument in HELP for argument in arguments):
        print(help_text(command, module.__doc__ or "", values))
        return None
    arguments = _find_config(arguments)
    # config_flags looks for overrides in sys.argv, whatever list is parsed.
    sys.argv = ["launch.py", *arguments]
    try:
        rest = values(sys.argv)
    except flags.UnrecognizedFlagError as error:
        raise UserError(
            f"unknown flag --{error.flagname}{suggest(error.flagname, values)}; "
            f"see python launch.py {command} --help"
        ) from None
    except flags.IllegalFlagValueError as error:
        raise UserError(_config_error(str(error))) from None
    except (KeyError, AttributeError, TypeError) as error:
        raise UserError(_entry_error(error)) from None
    except (flags.Error, config_flags.UnsupportedOperationError) as error:
        raise UserError(" ".join(str(error).split())) from None
    except Exception as error:
        # The config file is a person's own program, and this is what it does wrong.
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"the config file fails with {type(error).__name__}: {error} "
            f"({place.filename}, line {place.lineno})"
        ) from None
    return values, rest[1:]


def _find_config(arguments: list[str]) -> list[str]:
    """Return the arguments with the path of the config file expanded."""
    found = list(arguments)
    for i, argument in enumerate(arguments):
        name, equals, text = argument.partition("=")
        if name.lstrip("-") != "config" or not argument.startswith("-"):
            continue
        place = i if equals else i + 1
        if place == len(found):
            continue
        file, colon, variant = (text if equals else found[place]).partition(":")
        path = Path(expand(file))
        if not path.is_file():
            there = [str(p) for p in path.parent.glob("*.py") if not p.name.startswith("_")]
            raise UserError(f"no config file '{path}'{suggest(str(path), there)}")
        found[place] = f"{name}=" * bool(equals) + f"{path}{colon}{variant}"
    return found


def _entry_error(error: Exception) -> str:
    text = str(error.args[0]) if error.args else str(error)
    found = re.search(r'Did you mean "(.*?)" instead of "(.*?)"', text)
    if found:
        return f"the config has no entry '{found[2]}'; did you mean '{found[1]}'?"
    name = re.search(r"'?\\?'(\w+)\\?'", text)
    if name and isinstance(error, KeyError | AttributeError):
        return (
            f"the config has no entry '{name[1]}': "
            "python launch.py config --config=FILE lists them all"
        )
    return " ".join(text.replace("\\n", " ").split())


def _config_error(text: str) -> str:
    """Shorten what absl says of a value, or of an exception in a config file."""
    if "Traceback" not in text:
        return " ".join(text.split())
    lines = [line for line in text.splitlines() if line.strip()]
    name, _, message = lines[-1].strip().partition(": ")
    if name.endswith("UserError"):
        return message
    places = [line.strip() for line in lines if line.strip().startswith("File ")]
    return f"the config file fails with {name}: {message} ({places[-1]})"
