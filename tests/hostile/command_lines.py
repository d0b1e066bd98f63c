"""Command lines that nothing sensible can be done about, and paths of every kind in every flag."""

import os
import shlex

from hostile.row import CONFIG, ROOT, SMALL, Row, Table, nothing, place

NAME, PATH = "n" * 300, "p/" * 3000 + "p"
BYTES = os.fsdecode(b"b\xff")
TRAIN = f"train {CONFIG} --workdir=new"
CHECK = f"config {SMALL}"


def bad(name, words, read, make=nothing):
    """A row of a command line that is refused."""
    return Row(name, words, make, read)


def good(name, words, read, make=nothing):
    """A row of a command line that is odd and right."""
    return Row(name, words, make, read, works=True)


def entry(setting, words, command=CHECK):
    """A row of an entry of the config that cannot be meant."""
    return Row(setting, words, nothing, f"{command} {shlex.quote(f'--config.{setting}')}")


def paths(flag, command):
    """Rows of a flag with a path: a name and a path that are too long, and a variable unset."""
    for what, path, words in (
        ("a name of 300 letters", NAME, "name or path is too long"),
        ("a path of 6,000 letters", PATH, "name or path is too long"),
        ("a variable that is not set", "'$NOT_SET_1'", "which is not set"),
        ("a URL", "gs://bucket/x", "is a URL" if flag != "--config" else "no config file"),
        ("the home of nobody", "'~nobody-1/x'", "a user who does not exist"),
    ):
        # Some say first that there is no such file, which is as right.
        yield Row(
            f"{flag}: {what}",
            words if path not in (NAME, PATH) else "",
            nothing,
            f"{command} {flag}={path}{'.png' if flag in PNGS and path in (NAME, PATH) else ''}",
        )


PNGS = ("--plot", "--sheet", "--picture")
COMMANDS = {
    "--workdir": (f"train {SMALL}", "eval", "status", "sweep --report"),
    "--sweep": (f"sweep {CONFIG} --workdir=new",),
    "--plot": (CHECK,),
    "--sheet": ("data digits",),
    "--picture": ("models lenet5", "layers conv"),
    "--config": ("config",),
}
ROWS = [
    bad("unknown command", "did you mean 'train'", "trian"),
    bad("unknown flag", "did you mean 'workdir'", f"train {CONFIG} --wrkdir=x"),
    bad("no config", "--config is missing", "train --workdir=new"),
    bad("no folder", "--workdir is missing", f"train {CONFIG}"),
    bad("an argument too many", "unexpected argument 'x'", f"{TRAIN} x"),
    bad("eval without a folder", "--workdir is missing", "eval"),
    bad("eval of no run", "no run in gone", "eval --workdir=gone"),
    bad("eval with an argument", "unexpected argument", "eval x"),
    bad("status of no folder", "no folder gone", "status --workdir=gone"),
    bad(
        "status of nothing",
        "no run in empty",
        "status --workdir=empty",
        lambda folder: (folder / "empty").mkdir(),
    ),
    bad("status of -1 lines", "lines", "status --lines=-1"),
    bad("status in an unknown format", "format", "status --format=xml"),
    bad("a flag without a value", "", "status --workdir"),
    bad("a flag file that is not there", "", "status --flagfile=gone"),
    bad("a flag file that is itself", "", "status --flagfile=it", place("it", "--flagfile=it\n")),
    bad("undefok", "no folder runs", "status --undefok=x --x=5"),
    *(
        bad(f"--profile={p}", "needs two steps", f"{TRAIN} --profile={p}")
        for p in (
            "7",
            "9:7",
            "\u00b2:\u00b3",
            "a:b",
            "-1:5",
            ":",
            "1:2:3",
            "9" * 30 + ":" + "9" * 31,
        )
    ),
    bad(
        "--profile into a path that is no UTF-8",
        "UTF-8",
        f"train {SMALL} --workdir={BYTES} --profile=1:2",
    ),
    bad("data_dir that is no UTF-8", "is no UTF-8", f"data digits --data_dir={BYTES}"),
    bad("an entry that is no UTF-8", "", f"{CHECK} --config.model.name=m{BYTES}"),
    bad("a command that is no UTF-8", "unknown command", BYTES),
    *(
        Row(
            f"{flag} that is no UTF-8: {command.split()[0]}",
            "",
            nothing,
            f"{command} {flag}={BYTES}",
        )
        for flag in ("--workdir", "--sweep", "--config")
        for command in COMMANDS[flag]
        if "train" not in command
    ),
    *(
        Row(
            f"{flag} that is no UTF-8 works: {command.split()[0]}",
            "",
            nothing,
            f"{command} {flag}={BYTES}.png",
            works=True,
        )
        for flag in PNGS
        for command in COMMANDS[flag]
    ),
    bad("two data sets", "one set at a time", "data digits shapes"),
    bad("a slip in a kind of source", "did you mean 'folder:/tmp'?", "data fodler:/tmp"),
    bad("an unknown data set", "did you mean 'digits'", "data digit"),
    bad("prepare nothing", "needs one name", "data prepare"),
    bad("prepare an unknown set", "unknown data set", "data prepare nothing-1"),
    bad("no samples", "--samples=0", "data digits --samples=0"),
    bad("-3 samples", "--samples=-3", "data digits --samples=-3"),
    bad("10^9 samples", "--samples", "data digits --samples=1000000000"),
    bad("half a sample", "--samples", "data digits --samples=0.5"),
    bad("a sheet without an ending", "must end in .png", "data digits --sheet=sheet"),
    bad("a sheet that is a PDF", "must end in .png", "data digits --sheet=x.pdf"),
    bad("a sheet in a folder", "", "data digits --sheet=.", nothing),
    bad(
        "a sheet that is a folder",
        "folder",
        "data digits --sheet=x.png",
        lambda folder: (folder / "x.png").mkdir(),
    ),
    bad("a sheet below a file", "", "data digits --sheet=f/x.png", place("f", b"")),
    bad("an unknown split", "are:", "data digits --split=tset"),
    bad("a plot that is a PDF", "must end in .png", f"config {CONFIG} --plot=x.pdf"),
    bad(
        "a plot without steps",
        "needs a length in steps",
        f"config {CONFIG} --plot=x.png --config.steps=0 --config.epochs=2",
    ),
    bad("no such model", "no model matches", "models nothing-1"),
    bad("half a model's name", "", "models '['"),
    bad("a field of a model called name", "in place of this one", "models lenet5 --set=name=mlp"),
    bad(
        "a split of 3,000 parts", "letters: at most", f"data digits --split={'train+' * 3000}train"
    ),
    bad("another format of models", "format", "models --format=xml"),
    bad("sorted by nothing", "sort", "models --sort=color"),
    bad("a field that it has not", "", "models mlp --set=hiden=5"),
    bad("a field without a value", "", "models mlp --set=hidden"),
    good("a network of 10^13 units", "10,0", f"models mlp --set='hidden=({10**13},)'"),
    bad("images of 10^8 pixels a side", "", "models lenet5 --size=100000000"),
    bad("images of no pixels", "", "models lenet5 --size=0"),
    bad("images of -5 pixels", "", "models lenet5 --size=-5"),
    bad("images too small", "", "models lenet5 --size=4"),
    bad("-1 classes", "", "models lenet5 --num_classes=-1"),
    good("10^12 classes", "10,0", f"models lenet5 --num_classes={10**12}"),
    bad("no such layer", "no layer 'convo'", "layers convo"),
    bad("a picture of no kind", "", "layers conv --picture=x.pdf"),
    bad("a kernel larger than the image", "", "layers conv --picture=x.png --size=3 --kernel=9"),
    bad("a stride of 0", "", "layers conv --picture=x.png --stride=0"),
    bad("a picture of 10^8", "", "layers conv --picture=x.png --size=100000000"),
    bad("a field of 10^8", "", "layers --receptive_field=lenet5 --picture=x.png --size=100000000"),
    *(
        row
        for flag, commands in COMMANDS.items()
        for command in commands[:1]
        for row in paths(flag, command)
    ),
    entry("steps=-1", "steps=-1"),
    entry("steps=1.5", "1.5"),
    entry(f"steps={10**30}", "at most"),
    entry("steps=\u00b2", "\u00b2"),
    entry("epochs=nan", "nan"),
    entry("epochs=inf", "inf"),
    entry("seed=-1", "seed=-1"),
    entry(f"seed={2**64}", "seed"),
    entry("batch_size=0", "batch_size=0"),
    entry("evaluate.batch_size=0", "evaluate.batch_size=0"),
    entry("evaluate.batch_size=-1", "evaluate.batch_size=-1"),
    entry(f"evaluate.batch_size={10**12}", "evaluate.batch_size"),
    entry("evaluate.batch_size=2000000000", "would need", f"train {SMALL} --workdir=new"),
    entry("optimizer.multipliers=5", "multipliers"),
    entry("optimizer.multipliers=(5,)", "no pair", f"train {SMALL} --workdir=new"),
    entry("optimizer.learning_rate=fast", "needs a number"),
    entry("optimizer.learning_rate=\u00b2", "learning_rate=\u00b2: needs a number"),
    entry("optimizer.learning_rate=1e39", "up to 3.4e+38"),
    entry("steps=1e400", "steps=1e400: needs a whole number"),
    entry(f"steps={'9' * 6000}", "of fewer digits"),
    entry("optimizer.multipliers=(('x',nan),)", "nan in"),
    entry("data.keys=()", "names nothing to read"),
    entry("data.eval.splits={}", "names nothing to evaluate"),
    *(
        entry(f"data.eval.splits={{{name!r}:'test'}}", "becomes one of files")
        for name in ("/tmp/evil", "a/b", "", "a\n", "n" * 300)
    ),
    *(
        entry(f"representation.evaluators={{{name!r}:{{'name':'knn'}}}}", "becomes one of files")
        for name in ("/tmp/evil", "a/b", "n" * 300)
    ),
    entry("data.eval.splits={'..':'test'}", "does not accept dots"),
    entry("evaluate.splits=('validation','validation')", "'validation' is there twice"),
    entry("representation.controls=('pixels','pixels')", "'pixels' is there twice"),
    *(
        bad(
            f"{command.split('=')[0]} {flag} of a URL",
            "is a URL",
            f"{command} {flag}=s3://bucket/x",
        )
        for flag, command in (
            ("--data_dir", f"eval --workdir={ROOT}"),
            ("--workdir", "eval"),
            ("--workdir", f"sweep {CONFIG} --sweep=it.py"),
            ("--workdir", f"sweep --report {SMALL}"),
        )
    ),
    entry("init_from.path=hdfs://x/y", "is a URL", f"train {SMALL} --workdir=new"),
    entry("data.source=folder:gs://x/y", "is a URL", f"train {SMALL} --workdir=new"),
    entry("data.source=npz:https://x/y", "is a URL", f"train {SMALL} --workdir=new"),
    bad("--processes=0", "--processes=0: needs", f"{TRAIN} --processes=0"),
    bad("--process=-1", "--process=-1: needs", f"{TRAIN} --process=-1"),
    bad(
        "--profile of steps that do not come",
        "nothing to trace",
        f"train {SMALL} --workdir=new --config.steps=4 --profile=1000:2000",
    ),
    entry("data.train.augment=" + "{1:" * 300, "data.train.augment"),
    bad("entries of an empty config", "--config is missing", "config --config= --config.steps=4"),
    entry("optimizer.learning_rate=nan", "nan"),
    entry("optimizer.learning_rat=1", "did you mean 'learning_rate'"),
    entry("optimzer.learning_rate=1", "did you mean 'optimizer'"),
    entry("model.hidden=(0,)", "model.hidden"),
    entry("model.hidden=(-3,)", "model.hidden"),
    entry("model.hidden=('a',)", "model.hidden"),
    entry("model.hidden=(", "("),
    entry("model.hidden=__import__('os').abort()", "hidden"),
    entry(f"model.hidden=({10**13},)", "model.hidden"),
    entry("model.hidden=(1000000000,)", "would need", f"train {SMALL} --workdir=new"),
    entry("model.name=lenet6", "unknown model"),
    entry("model.name=", "unknown model"),
    entry("data.keys=('',)", "data.keys", f"train {SMALL} --workdir=new"),
    entry("data.keys=('label',)", "data.keys", f"train {SMALL} --workdir=new"),
    entry("data.source=", "", f"train {SMALL} --workdir=new"),
    entry("data.source=npz:gone", "there is no such file", f"train {SMALL} --workdir=new"),
    entry("data.source=folder:/proc", "", f"train {SMALL} --workdir=new"),
    entry("data.grain.threads=-1", "grain.threads=-1"),
    entry("data.grain.threads=1000000", "at most 1024"),
    entry("data.train.views=0", "views=0"),
    entry("representation.controls=(5,)", "controls=(5,)"),
    entry("representation.controls=nothing", "unknown control"),
    entry("checkpoint.keep=-1", "keep=-1"),
    entry("checkpoint.best=[/]", "checkpoint.best"),
    entry("init_from.path=gone", "no such folder or file", f"train {SMALL} --workdir=new"),
    entry("parallel.strategy=magic", "magic", f"train {SMALL} --workdir=new"),
    entry("parallel.devices=1000", "1000", f"train {SMALL} --workdir=new"),
    entry("freeze=('nothing',)", "matches no parameter", f"train {SMALL} --workdir=new"),
    entry("x" * 5000 + "=1", "has no entry"),
    entry("=1", ""),
    entry(".steps=1", ""),
    entry("steps.more=1", ""),
    entry("model.hidden[0]=5", "", f"{CHECK}"),
]
TABLE = Table("command lines", "", ROWS)
