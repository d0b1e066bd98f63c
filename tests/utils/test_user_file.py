"""Files that people write: what they raise names file, line and type."""

from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.utils import user_file


def write(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    return path


def test_function_is_called_with_its_arguments(tmp_path):
    path = write(tmp_path, "def go(a, b=2):\n    return a, b\n")
    assert user_file.call(path, "go", 1) == (1, 2)


@pytest.mark.parametrize(
    ("message", "body"),
    {
        "line 3: AttributeError: 'str' object has no attribute 'foo'$": "'abc'.foo()",
        "line 3: KeyError: 'a'$": "{}['a']",
        "line 3: ZeroDivisionError: division by zero$": "1 / 0",
        "line 3: SystemExit: bye$": "import sys; sys.exit('bye')",
        "line 3: RuntimeError$": "raise RuntimeError",
        "line 3: ValueError: two lines$": "raise ValueError('two\\nlines')",
        "line 3: RecursionError: maximum": "go()",
        "line 3: ModuleNotFoundError: No module named 'nix'$": "import nix",
        # The library that was called last is not where the mistake is.
        "line 3: JSONDecodeError: Expecting value": "import json; json.loads('')",
        "line 3: AttributeError: there is no entry 'lr'; did you mean 'learning_rate'": (
            "cfg.base().optimizer.lr = 3.0"
        ),
        "line 3: AttributeError: there is no entry 'momentm'": "cfg.base().optimizer.sgd.momentm",
        "'optimizer.lars.momentum' or 'optimizer.rmsprop.momentum'": "cfg.base().momentum = 1",
        "line 3: TypeError: steps needs a whole number, not '10' \\(str\\)$": (
            "cfg.base().steps = '10'"
        ),
        "line 3: TypeError: optimizer needs a dictionary, not 'adam'": (
            "cfg.base().optimizer = 'adam'"
        ),
        "line 3: unknown model 'resnt18'; did you mean 'resnet18'": "cfg.model('resnt18')",
        "line 3: model 'lenet5' has no argument 'widht'": "cfg.model('lenet5', widht=2)",
    }.items(),
)
def test_what_a_file_raises_is_one_line_with_its_own_line(message, body, tmp_path):
    path = write(tmp_path, f"from cnnlab import config as cfg\ndef go():\n    {body}\n")
    with pytest.raises(UserError, match=message) as raised:
        user_file.call(path, "go")
    assert str(raised.value).startswith(f"{path}, line 3: ")


@pytest.mark.parametrize(
    ("message", "text"),
    {
        "mine.py, line 1: SyntaxError: invalid syntax$": "def go(:",
        "mine.py, line 2: SyntaxError: '\\(' was never closed$": "def go():\n  x = (\n  return 3",
        "mine.py: has no function go\\(\\)": "go = 3",
        "mine.py: cannot call go\\(\\): missing a required argument: 'a'": "def go(a): pass",
    }.items(),
)
def test_file_that_cannot_be_called_is_named(message, text, tmp_path):
    with pytest.raises(UserError, match=message):
        user_file.call(write(tmp_path, text), "go")


def test_missing_file_is_refused_with_those_of_its_folder_or_the_projects(tmp_path):
    path = write(tmp_path, "def get_config(): pass")
    (tmp_path / "min.py").write_text("def get_sweep(): pass")
    assert user_file.find(path, "config", tmp_path) == path
    with pytest.raises(UserError, match=r"no config file '.*mi.py'; did you mean '.*mine.py'"):
        user_file.find(tmp_path / "mi.py", "config", tmp_path)
    with pytest.raises(UserError, match=r"did you mean 'mine'"):
        user_file.find(tmp_path / "nowhere" / "mine.py", "config", tmp_path)
    with pytest.raises(UserError, match=r"no config file 'mie'; did you mean 'mine'"):
        user_file.find(Path("mie"), "config", tmp_path)
    with pytest.raises(
        UserError, match=r"is a folder, not a config file; there are: [^,]*mine.py$"
    ):
        user_file.find(tmp_path, "config", tmp_path)
    with pytest.raises(UserError, match=r"no config file '[^;]*'$"):
        user_file.find(tmp_path / "nowhere" / "mine.py", "config", tmp_path / "nowhere")


def test_an_example_is_found_by_its_name_alone(tmp_path, monkeypatch):
    path = write(tmp_path, "def get_config(): pass")
    assert user_file.find(Path(path.stem), "config", tmp_path) == path
    monkeypatch.chdir(tmp_path.parent)
    assert user_file.find(Path(path.stem), "config", tmp_path) == path.relative_to(Path.cwd())
    with pytest.raises(UserError, match=r"no config file 'other'; there are: .*mine.py"):
        user_file.find(Path("other"), "config", tmp_path)


def test_what_is_elsewhere_in_an_installed_package_is_named(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(
        "raise ModuleNotFoundError(\"No module named 'experiments'\", name='experiments')"
    )
    monkeypatch.setattr(user_file, "IN_CHECKOUT", False)
    with pytest.raises(UserError, match=r"'experiments'; write cnnlab\.experiments"):
        user_file.call(file, "get_config")
