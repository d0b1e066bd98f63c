"""The closing table: legible on a terminal of 80 columns."""

from cnnlab.runs import closing_table

NAMES = ["accuracy", "auxiliary_loss", "ema/accuracy", "exact_match", "loss", "top5"]


def _columns(lines, border):
    rows = [[cell.strip() for cell in line.strip(border).split(border)] for line in lines]
    return ["".join(column) for column in zip(*rows, strict=True)]


def test_narrow_terminal_cuts_neither_names_nor_numbers(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    values = {f"test/{name}": 0.98765 for name in NAMES}
    closing_table.print_results("runs/a", {"best validation/accuracy (step 1250)": values})
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    names, numbers = [], []
    # What does not fit stands in another table; what is folded goes on in the lines below.
    for table in out.split("┏")[1:]:
        lines = table.splitlines()
        heading = _columns([line for line in lines if "┃" in line], "┃")
        cells = _columns([line for line in lines if line.startswith("│")], "│")
        assert heading[:2] == ["protocol", "split"]
        assert cells[0].replace(" ", "") == "bestvalidation/accuracy(step1250)"
        assert cells[1] == "test"
        names += heading[2:]
        numbers += cells[2:]
    assert names == NAMES
    shares = ("accuracy", "ema/accuracy", "exact_match", "top5")
    assert numbers == ["98.77%" if name in shares else "0.9877" for name in NAMES]


def test_a_number_below_a_baseline_of_the_run_gets_a_line():
    made = {
        "results": {"last (step 4)": {"test/accuracy": 0.3, "validation/accuracy": 0.5}},
        "floors": {
            "majority": {"test/accuracy": 0.1, "validation/accuracy": 0.1},
            "nearest_neighbor": {"test/accuracy": 0.9, "validation/accuracy": 0.5},
        },
    }
    lines = closing_table.below_baselines(made)
    assert lines == ["BELOW A BASELINE: test/accuracy 30.00%, nearest_neighbor 90.00%"]
