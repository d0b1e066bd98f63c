"""Commands of Slurm that answer what a test wants, and note how they were called."""

import os


def install(folder, monkeypatch, **answers):
    """Put commands on the path; each prints its answer, or fails with one that is an error."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, answer in answers.items():
        failed = answer.startswith("error")
        text = f"""#!/bin/sh
echo {name} "$@" >> {folder}/calls
cat {">&2" if failed else ""} <<'ANSWER'
{answer}
ANSWER
exit {int(failed)}
"""
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return folder / "calls"


def remove(folder, monkeypatch):
    """Leave no command on the path."""
    (folder / "nothing").mkdir()
    monkeypatch.setenv("PATH", str(folder / "nothing"))
