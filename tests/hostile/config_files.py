"""Config files that are no configs, or give what no run can mean."""

import os

from hostile.row import Row, Table, link, place

READ = "config --config=it.py"
HEAD = """import math

import numpy as np

from cnnlab import config as cfg


def get_config():
    config = cfg.base()
"""


def text(name, words, content, read=READ):
    """A row of a whole file."""
    return Row(name, words, place("it.py", content), read)


def sets(name, words, lines, *, works=False):
    """A row of a file that changes the base config."""
    body = "".join(f"    {line}\n" for line in lines.split("; "))
    return Row(name, words, place("it.py", f"{HEAD}{body}    return config\n"), READ, works)


def gives(name, words, value):
    """A row of a file whose function returns something."""
    return text(name, words, f"{HEAD}    return {value}\n")


ROWS = [
    Row("no such file", "no config file 'it.py'"),
    Row("a folder", "is a folder, not a config file", lambda folder: (folder / "it.py").mkdir()),
    Row("a pipe", "no config file", lambda folder: os.mkfifo(folder / "it.py")),
    Row("a device", "no config file", link("it.py", "/dev/zero")),
    Row("a link to itself", "", link("it.py", "it.py")),
    Row("a text file", "needs to be a Python file", place("it.txt", ""), "config --config=it.txt"),
    Row("no path", "--config is missing", read="config --config="),
    Row("no file before the variant", "", read="config --config=:small"),
    text("empty", "has no function get_config()", ""),
    text("zeros", "it.py", "\0" * 50),
    text("no UTF-8", "it.py", b"x = '\xff'\n"),
    text("no Python", "SyntaxError", "def get_config(:\n"),
    text("a tab too many", "TabError", "def get_config():\n  a = 1\n\tb = 2\n"),
    text("nested too deep", "it.py", "x = " + "(" * 5000 + ")" * 5000 + "\n"),
    text("a missing package", "line 1: ModuleNotFoundError", "import not_there_1\n"),
    text("get_config a number", "has no function get_config()", "get_config = 5\n"),
    text("get_config a class", "returned get_config", "class get_config: pass\n"),
    text("wants a variant", "cannot call get_config()", "def get_config(name): pass\n"),
    text(
        "takes no variant",
        "cannot call get_config('big')",
        "def get_config(): pass\n",
        f"{READ}:big",
    ),
    text("exits", "SystemExit: 0", "import sys\n\nsys.exit(0)\n"),
    text("exits with 3", "SystemExit: 3", "import sys\n\nsys.exit(3)\n"),
    text("exits in the function", "SystemExit", "def get_config():\n    raise SystemExit\n"),
    text("calls itself", "RecursionError", "def get_config():\n    return get_config()\n"),
    text(
        "raises an exception of its own",
        "line 4: Odd",
        "class Odd(BaseException): pass\n\ndef get_config():\n    raise Odd\n",
    ),
    text("raises lines of text", "a b", "def get_config():\n    raise ValueError('a\\nb')\n"),
    text("a generator", "returned generator", "def get_config():\n    yield 1\n"),
    text("a coroutine", "returned coroutine", "async def get_config():\n    return 1\n"),
    gives("None", "returned None", "None"),
    gives("a dictionary", "returned dict", "{}"),
    gives("a dictionary of all entries", "returned dict", "config.to_dict()"),
    gives("a number", "returned int", "5"),
    gives("an empty config", "returned a config without", "type(config)()"),
    gives("a part of a config", "returned a config without", "config.optimizer"),
    sets(
        "an entry misspelled", "did you mean 'learning_rate'", "config.optimizer.lerning_rate = 1"
    ),
    sets("an entry taken away", "without steps", "config.unlock(); del config['steps']"),
    sets("text for a number", "steps needs a whole number", "config.steps = 'ten'"),
    sets("a number for text", "needs text", "config.data.source = 5"),
    sets("None for a number", "steps", "config.steps = None"),
    sets("a fraction of steps", "steps needs a whole number", "config.steps = 1.5"),
    sets("truth for steps", "steps needs a whole number", "config.steps = True"),
    sets("a float of numpy", "write float(...)", "config.ema_decay = np.float32(0.5)"),
    sets("an integer of numpy", "write int(...)", "config.steps = np.int64(5)"),
    sets("an array", "needs a number", "config.ema_decay = np.zeros(3)"),
    sets("an object", "keys", "config.steps = 9; config.data.keys = (object(),)"),
    sets("a function", "needs text", "config.data.source = print"),
    sets("NaN", "needs a number", "config.steps = 9; config.ema_decay = math.nan"),
    sets("infinite epochs", "epochs=inf", "config.epochs = math.inf"),
    sets("endless epochs", "epochs=1e+300", "config.epochs = 1e300"),
    sets("steps of -1", "steps=-1", "config.steps = -1"),
    sets("steps of 10^30", "steps=1000", "config.steps = 10**30"),
    sets("steps of 2^31", "needs to be at most 2147483647", "config.steps = 2**31"),
    sets("a seed of -1", "seed=-1", "config.steps = 9; config.seed = -1"),
    sets("no batch", "batch_size=0", "config.steps = 9; config.batch_size = 0"),
    sets("steps and epochs", "both are above zero", "config.steps = 9; config.epochs = 2.0"),
    sets("neither", "set one of them above zero", "config.steps = 0; config.epochs = 0.0"),
    sets(
        "an unknown optimizer",
        "did you mean 'adam'",
        "config.steps = 9; config.optimizer.name = 'adma'",
    ),
    sets("an unknown model", "unknown model", "config.model = cfg.model('lenet6')"),
    sets("a model without a name", "model", "config.model = {'hidden': 5}"),
    sets("an unknown field", "no argument 'hiden'", "config.model = cfg.model('mlp', hiden=5)"),
    sets("no experiment", "experiment", "config.experiment = None"),
    sets(
        "a split that is not there",
        "evaluate.splits names 'dev'",
        "config.steps = 9; config.evaluate.splits = ('dev',)",
    ),
    sets(
        "a metric that is not there",
        "checkpoint.best",
        "config.steps = 9; config.checkpoint.best = 'validation'",
    ),
    sets(
        "an unknown control",
        "unknown control",
        "config.steps = 9; config.representation.controls = ('x',)",
    ),
    sets("an unknown init", "unknown init", "config.steps = 9; config.init.name = 'x'"),
    sets("a broken expression", "regular expression", "config.steps = 9; config.freeze = ('(',)"),
    sets(
        "a layer of 0",
        "model.hidden",
        "config.steps = 9; config.model = cfg.model('mlp', hidden=(0,))",
    ),
    sets(
        "a negative rate",
        "learning_rate=-1",
        "config.steps = 9; config.optimizer.learning_rate = -1.0",
    ),
    sets("itself", "nested more than 20 deep", "config.data.train.augment = {'a': config}"),
    sets(
        "dictionaries 300 deep",
        "data.train.augment",
        "import functools; deep = functools.reduce(lambda d, _: {'a': d}, range(300), {}); "
        "config.data.train.augment = deep",
    ),
    sets(
        "a rate beyond float32",
        "up to 3.4e+38",
        "config.steps = 9; config.optimizer.learning_rate = 1e39",
    ),
    sets("nothing to read", "names nothing to read", "config.steps = 9; config.data.keys = ()"),
    text(
        "raises control characters",
        "\\x1b[31m",
        "def get_config():\n    raise ValueError('\\x1b[31m')\n",
    ),
    sets(
        "right", "--config.steps=9", "config.model = cfg.model('mlp'); config.steps = 9", works=True
    ),
]
TABLE = Table("config files", READ, ROWS)
