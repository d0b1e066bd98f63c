"""The closing table: legible on a terminal of 80 columns."""

from cnnlab.runs import final_report

NAMES = ["accuracy", "auxiliary_loss", "ema/accuracy", "exact_match", "loss", "top5"]


def _columns(lines, border):
    rows = [[cell.strip() for cell in line.strip(border).split(border)] for line in lines]
    return ["".join(column) for column in zip(*rows, strict=True)]


def test_narrow_terminal_cuts_neither_names_nor_numbers(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    values = {f"test/{name}": 0.98765 for name in NAMES}
    final_report.print_results("runs/a", {"best validation/accuracy (step 1250)": values})
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    # What is folded goes on in the lines below.
    assert _columns([line for line in lines if "┃" in line], "┃") == ["protocol", "split", *NAMES]
    found = _columns([line for line in lines if line.startswith("│")], "│")
    assert found[1] == "test"
    assert set(found[2:]) == {"98.77%", "0.9877"}
