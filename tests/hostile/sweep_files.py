"""Files of a sweep that are damaged, and sweep files that are no sweeps."""

import json
import os
import shutil
from pathlib import Path

import fabricated_sweep
from hostile.row import CONFIG, Row, Table, place
from hostile.run_files import changed, every, instead


def pipe(name):
    """Return what puts a pipe in the place of a file."""
    return instead(name, os.mkfifo)


REPORT = "sweep --report --workdir=sweep"
RUN = f"sweep {CONFIG} --sweep=it.py --workdir=new --dry_run"


def before(folder):
    """A sweep of three trials, two of them finished."""
    sweep = fabricated_sweep.sweep(folder / "sweep")
    for trial in sweep.trials()[:2]:
        fabricated_sweep.finished(sweep, trial, [0.5, 0.7])


def file(name, words, text, *, whole=False, works=False):
    """A row of a sweep file: what get_sweep() returns, or its `whole` text."""
    head = "from cnnlab.sweeps.space import *\n\n\ndef get_sweep():\n    return "
    return Row(name, words, place("it.py", text if whole else head + text + "\n"), RUN, works)


RATE = "'optimizer.learning_rate'"
LOOP = """
loop = []
loop.append(loop)


def get_sweep():
    return [{"seed": loop}]
"""
ROWS = [
    file("a value that holds itself", "holds itself", LOOP, whole=True),
    *every("sweep.json is", "sweep/sweep.json", REPORT),
    *every("a state is", "sweep/states/0000.json", REPORT),
    *every(
        "a result is",
        "sweep/trials/0000/result.json",
        "status --workdir=sweep --format=json",
        works=True,
    ),
    Row(
        "a report over an empty result",
        "is damaged",
        place("sweep/trials/0000/result.json", ""),
        REPORT,
        works=True,
    ),
    *(
        Row(f"{name} a pipe", words, pipe(f"sweep/{name}"), REPORT)
        for name, words in (
            ("locks/0002.lock", "a pipe"),
            ("report/trials.csv", "a pipe"),
            ("report/trials.md", "a pipe"),
        )
    ),
    Row(
        "a figure a pipe",
        "report in",
        pipe("sweep/report/curves.png"),
        REPORT,
        works=True,
    ),
    Row("states/ a file", "states", instead("sweep/states", Path.touch), REPORT),
    Row("states/ missing", "", lambda f: shutil.rmtree(f / "sweep/states"), REPORT, works=True),
    Row("trials/ missing", "", lambda f: shutil.rmtree(f / "sweep/trials"), REPORT, works=True),
    Row(
        "an unknown state",
        "unknown state 'lost'",
        changed("sweep/states/0000.json", state="lost"),
        REPORT,
    ),
    Row(
        "a state without attempts",
        "'attempts' is missing",
        changed("sweep/states/0000.json", attempts=None),
        REPORT,
    ),
    Row(
        "sweep.json without points",
        "'points' is missing",
        changed("sweep/sweep.json", points=None),
        REPORT,
    ),
    Row(
        "sweep.json of another space",
        "is damaged",
        changed("sweep/sweep.json", space={"kind": "torus"}),
        REPORT,
    ),
    Row("no sweep there", "there is no sweep.json", read="sweep --report --workdir=gone"),
    Row(
        "a run, no sweep",
        "there is no sweep.json",
        place("r/config.json", "{}"),
        "sweep --report --workdir=r",
    ),
    Row("another metric", "nothing/there", read=f"{REPORT} --metric=nothing/there"),
    Row("no sweep file", "no sweep file", read=RUN),
    file("empty file", "has no function get_sweep()", "", whole=True),
    file("no Python", "SyntaxError", "def get_sweep(:\n", whole=True),
    file("zeros", "it.py", "\0" * 50, whole=True),
    file("get_sweep is a number", "has no function get_sweep()", "get_sweep = 5\n", whole=True),
    file(
        "get_sweep wants something",
        "cannot call get_sweep()",
        "def get_sweep(a): pass\n",
        whole=True,
    ),
    file("exits", "SystemExit: 0", "import sys\n\nsys.exit(0)\n", whole=True),
    file("exits in the function", "SystemExit: 0", "__import__('sys').exit(0)"),
    file("raises", "line 5: ZeroDivisionError", "1 / 0"),
    file("calls itself", "RecursionError", "get_sweep()"),
    file("None", "not NoneType", "None"),
    file("a number", "not int", "5"),
    file("text", "not str", "'grid'"),
    file("a list of numbers", "5", "[5]"),
    file("an empty list", "", "[]"),
    file("a dictionary", "not dict", "{'seed': 1}"),
    file("a grid of nothing", "needs a dictionary", "grid({})"),
    file("a grid of no values", "has no value to try", "grid({'seed': []})"),
    file("a grid of one value", "needs several values", "grid({'seed': 5})"),
    file("a grid of text", "needs several values", "grid({'seed': '12'})"),
    file("a grid of numbered keys", "is no key", "grid({5: [1]})"),
    file("a grid of functions", "seed", "grid({'seed': [print]})"),
    file("a grid of NaN", "nan", "grid({'optimizer.learning_rate': [float('nan')]})"),
    file(
        "a grid of 10^12 points",
        "is more than 100,000",
        "grid({k: range(100) for k in ('a', 'b', 'c', 'd', 'e', 'f')})",
    ),
    file("a grid of 10^9 values", "more than 100,000", "grid({'seed': range(10**9)})"),
    file(
        "a grid without end", "more than 100,000", "grid({'seed': __import__('itertools').count()})"
    ),
    file(
        "a choice without end",
        "more than 100,000",
        f"draws({{{RATE}: choice(__import__('itertools').count())}}, count=3)",
    ),
    file("an unknown entry", "did you mean", "grid({'optimizer.learning_rat': [0.1]})"),
    file("another type", "needs a number", f"grid({{{RATE}: ['fast']}})"),
    file("a value that a run refuses", "steps=-1", "grid({'steps': [10, -1]})"),
    file("an unknown model", "unknown model", "grid({'model.name': ['lenet6']})"),
    file("10^8 draws", "more than 100,000", f"draws({{{RATE}: uniform(0, 1)}}, count=10**8)"),
    file("10^30 draws", "more than 100,000", f"draws({{{RATE}: uniform(0, 1)}}, count=10**30)"),
    file("-1 draws", "count=-1", f"draws({{{RATE}: uniform(0, 1)}}, count=-1)"),
    file("draws of numbers", "needs uniform(low, high)", f"draws({{{RATE}: 5}}, count=3)"),
    file("bounds the wrong way", "uniform", f"draws({{{RATE}: uniform(1, 0)}}, count=3)"),
    file("a logarithm of 0", "log_uniform", f"draws({{{RATE}: log_uniform(0, 1)}}, count=3)"),
    file("infinite bounds", "uniform", f"draws({{{RATE}: uniform(0, float('inf'))}}, count=3)"),
    file("NaN bounds", "uniform", f"draws({{{RATE}: uniform(0, float('nan'))}}, count=3)"),
    file("zipped of two lengths", "as many values each", "zipped({'seed': [1], 'steps': [1, 2]})"),
    file(
        "a key in two parts", "is in two parts", "product(grid({'seed': [1]}), grid({'seed': [2]}))"
    ),
    file(
        "a product of 10^6",
        "more than 100,000",
        "product(grid({'seed': range(1000)}), grid({'steps': range(1000)}))",
    ),
    file("right", "0.25", f"grid({{{RATE}: [0.25]}})", works=True),
    Row(
        "a sweep file that is a folder",
        "is a folder, not a sweep file",
        lambda f: (f / "it.py").mkdir(),
        RUN,
    ),
    Row(
        "a sweep file that is a pipe",
        "no sweep file",
        lambda f: __import__("os").mkfifo(f / "it.py"),
        RUN,
    ),
    Row(
        "a sweep file of JSON",
        "it.json",
        place("it.json", json.dumps([{"seed": 1}])),
        RUN.replace("it.py", "it.json"),
    ),
    Row(
        "--trials without --search",
        "--trials needs --search",
        place("it.py", ""),
        f"{RUN} --trials=5",
    ),
    Row(
        "a search without --trials",
        "--trials is missing",
        place("it.py", ""),
        f"{RUN} --search=tpe",
    ),
    Row("--repeat=0", "repeat", read=f"{RUN} --repeat=0"),
    Row("--parallel=0", "parallel", read=f"{RUN} --parallel=0"),
    Row(
        "--repeat=10^9",
        "more than",
        place("it.py", "def get_sweep():\n    return [{'steps': 5}]\n"),
        f"{RUN} --repeat={10**9}",
    ),
]
TABLE = Table("sweeps", REPORT, ROWS, before)
