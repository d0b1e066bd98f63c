"""Command lines: a command's flags parsed, its help, and config errors in plain words."""

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import config_flags, tuple_parser

from cnnlab.errors import UserError
from cnnlab.utils import import_path, user_file
from cnnlab.utils.console import LOG, printable
from cnnlab.utils.files import expand
from cnnlab.utils.installation import COMMAND, EXAMPLES, as_typed
from cnnlab.utils.registry import entries_called, nearest, suggest

HELP = ("--help", "-h", "-help", "--helpfull")
# What Python says of text that is no number.
NUMBERS = {
    r"invalid literal for int\(\)": "a whole number",
    r"cannot convert float .* to integer": "a whole number",
    r"Exceeds the limit .* for integer string": "a whole number of fewer digits",
    "could not convert string to float": "a number",
}
# Letters of a message.
LONG = 600
# Entries to suggest.
SOME = 3
OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]*)(?:=(.*))?", re.DOTALL)


class _LastTuple(flags.ArgumentParser):
    """Parses a tuple; of an entry given twice the last counts, as for every other type.

    Of a parser that is ml_collections' own the values would be added up.
    """

    syntactic_help = "a tuple"

    def parse(self, argument: Any) -> tuple[Any, ...]:
        return tuple_parser.TupleParser().parse(argument)

    def flag_type(self) -> str:
        return "tuple"


config_flags.register_flag_parser_for_type(tuple, _LastTuple())


class _Loaded(flags.ArgumentParser):
    """Gives a config that is loaded already: absl would wrap what a file raises."""

    def __init__(self, config: ConfigDict):
        self.config = config

    def parse(self, argument: str) -> ConfigDict:
        del argument
        return self.config


class _Path(flags.ArgumentParser):
    """Reads a path, with `~` and variables."""

    def parse(self, argument: str) -> str:
        return expand(argument)


def define_path(name: str, default: str, help_: str, values: flags.FlagValues) -> None:
    """Define a flag that names a file or a folder; `~` and `$NAME` in it are replaced."""
    serializer: flags.ArgumentSerializer = flags.ArgumentSerializer()
    flags.DEFINE(_Path(), name, default, help_, flag_values=values, serializer=serializer)


def announce(text: str) -> None:
    """Print what takes seconds before anything is shown: importing jax and Flax."""
    print(printable(text), file=sys.stderr, flush=True)


def help_text(command: str, text: str, values: flags.FlagValues) -> str:
    """Return a command's docstring, followed by its flags."""
    lines = [text.strip(), "", f"flags of '{command}':"]
    for name in sorted(values):
        flag = values[name]
        default = "" if flag.default in (None, "", []) else f" (default: {flag.default})"
        lines.append(f"  --{name}: {flag.help}{default}")
    return as_typed("\n".join(lines))


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
    try:
        arguments = values.read_flags_from_files(arguments)
        if hasattr(module, "rewrite"):
            arguments = module.rewrite(arguments, list(values))
        if "config" in values:
            arguments = _load_config(values, arguments)
        # config_flags looks for overrides in sys.argv, whatever list is parsed.
        sys.argv = ["launch.py", *arguments]
        rest = values(sys.argv)
    except flags.UnrecognizedFlagError as error:
        own = module.meant(error.flagname, arguments) if hasattr(module, "meant") else ""
        hint = own or _entry_of(error.flagname, values) or suggest(error.flagname, values)
        raise UserError(
            f"unknown flag --{error.flagname}{hint}; see {' '.join(COMMAND)} {command} --help"
        ) from None
    except flags.Error as error:
        raise UserError(_no_dictionary(str(error), values) or _plain(str(error))) from None
    if "config" in values and values["config"].present:
        from cnnlab import config_file

        # A dictionary that was given whole may lack entries, or have others.
        config_file.check(values.config)
        _choose_length(values)
    return values, rest[1:]


def _choose_length(values: flags.FlagValues) -> None:
    """Let the length that the command line sets replace the config's in the other unit."""
    flag: Any = values["config"]
    config, given = values.config, flag.override_values
    for key, other in (("steps", "epochs"), ("epochs", "steps")):
        if key in given and other not in given and config[key] > 0 and config[other] > 0:
            LOG.info("%s=%s in place of the config's %s=%s", key, config[key], other, config[other])
            config[other] = type(config[other])(0)


def _entry_of(name: str, values: flags.FlagValues) -> str:
    """Return the question whether an entry of the config was meant by a flag; "" if none is."""
    if "config" not in values:
        return ""
    from cnnlab import config as cfg
    from cnnlab.training import run_folder

    loaded = values["config"].parser
    config = loaded.config if isinstance(loaded, _Loaded) else cfg.base()
    name = name.replace("-", "_")
    found = entries_called(name, config)
    own = [flag for flag in values if "." not in flag]
    if not found and not nearest(name, own, cutoff=0.75):
        keys = {path.rpartition(".")[2] for path in run_folder.flatten(config.to_dict())}
        found = entries_called(nearest(name, keys, cutoff=0.75) or "", config)
    # Of a name that many entries have, none was meant.
    few = found if len(found) <= SOME else []
    return "; did you mean " + " or ".join(f"--config.{p}" for p in few) + "?" if few else ""


def shorten(values: flags.FlagValues) -> None:
    """Let a run whose `steps` the command line cuts log, evaluate and save at least once."""
    flag: Any = values["config"]
    given = flag.override_values
    if "steps" not in given:
        return
    from cnnlab.training import cadence, limits

    # A length that cannot be is an error before anything is cut to it.
    limits.check(values.config)
    old = cadence.fit(values.config, given)
    if old:
        was = ", ".join(f"{path}={value}" for path, value in old.items())
        LOG.info("%s cut to the run's %d steps", was, values.config.steps)


def _no_dictionary(text: str, values: flags.FlagValues) -> str:
    """Return which entries to set where a dictionary is given text; "" for another error."""
    found = re.match(r"flag --config\.([^=]+)=.*(?: as a ConfigDict|not a dict)", text, re.DOTALL)
    loaded: Any = values["config"].parser if found else None
    entry = loaded.config if isinstance(loaded, _Loaded) else None
    for key in found[1].split(".") if found else ():
        entry = entry[key] if isinstance(entry, ConfigDict) and key in entry else None
    if not found or not isinstance(entry, ConfigDict):
        return ""
    keys = sorted(entry, key=lambda key: (key not in ("name", "path"), key))
    first = f"--config.{found[1]}.{keys[0] if keys else 'NAME'}=..."
    more = [f".{key}=..." for key in keys[1:SOME]] + ["..."] * (len(keys) > SOME)
    return f"{found[1]} is a dictionary: set {', '.join([first, *more])}"


def _plain(text: str) -> str:
    """Return in one line what is wrong with the value of a flag, without the words of Python."""
    text = " ".join(text.split())
    if found := re.match(r"Type <class 'NoneType'> of field config\.(\S+) is not supp", text):
        return (
            f"{found[1]} has no default, and so no type that a command line could be read by: set "
            "it in the config file, or give the field a default"
        )
    for words, kind in NUMBERS.items():
        found = re.match(rf"flag ([^=]+)=(.*): {words}", text)
        if found:
            return f"{found[1].removeprefix('--config.')}={found[2]:.60}: needs {kind}"
    return text if len(text) < LONG else f"{text[: LONG // 2]} ... {text[-LONG // 2 :]}"


def _load_config(values: flags.FlagValues, arguments: list[str]) -> list[str]:
    """Load the file of --config, the last of several; return arguments with it before all others.

    config_flags wants it before the entries that are set.
    """
    file, others, rest = "", [], iter(arguments)
    for argument in rest:
        name, equals, text = argument.partition("=")
        if name in ("--config", "-config"):
            file = text if equals else next(rest, "")
        else:
            others.append(argument)
    if not file:
        if set_ := next(iter(_overrides(others)), None):
            raise UserError(f"--config is missing: which file's '{set_}' is to be set?")
        return others
    announce(f"loading {file}")
    from cnnlab import config_file

    path, colon, variant = file.partition(":")
    file = f"{user_file.find(Path(expand(path)), 'config', EXAMPLES)}{colon}{variant}"
    import_path.search(Path(file.partition(":")[0]).parent)
    config = config_file.override(config_file.load(file), _overrides(others))
    values["config"].parser = _Loaded(config)
    return [f"--config={file}", *others]


def _overrides(arguments: list[str]) -> dict[str, str]:
    """Return the entries of the config that a command line sets, each with its last text."""
    found = {}
    for argument, after in zip(arguments, [*arguments, ""][1:], strict=True):
        match = OVERRIDE.fullmatch(argument)
        if match:
            found[match[1]] = after if match[2] is None else match[2]
    return found
