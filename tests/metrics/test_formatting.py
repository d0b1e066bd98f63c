"""Metrics as text: percent for shares, and an order that people expect."""

import pytest

from cnnlab.metrics.formatting import format_metrics, format_value, natural


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("test/accuracy", 0.98765, "98.77%"),
        ("loss", 0.0123456, "0.01235"),
        ("top5", None, ""),
        ("test/knn_accuracy@stage3", 0.5, "50.00%"),
        ("verification_tar@far=0.001", 0.13444, "13.44%"),
        ("recall@10", 0.6582, "65.82%"),
        ("map@r", 0.09138, "9.14%"),
        ("knn_accuracy_1", 0.5, "50.00%"),
        ("exact_match", 0.25, "25.00%"),
        ("ci95", 0.0105, "1.05%"),
        ("validation/AP50", 0.5, "50.00%"),
        ("AP_small", 0.5, "50.00%"),
        ("AR100", 0.5, "50.00%"),
        ("mean_iou_predicted", 0.5, "50.00%"),
        ("embedding_std", 0.8564, "0.8564"),
        ("learning_rate", 0.00151821, "0.001518"),
        ("perplexity", 12.0, "12"),
    ],
)
def test_shares_are_in_percent(name, value, text):
    assert format_value(name, value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("top", 3.0, "3"), ("test/accuracy", 66.7, "66.7"), ("wer", 1.2, "120.00%")],
)
def test_what_is_above_one_is_no_share(name, value, text):
    assert format_value(name, value) == text


def test_a_record_is_one_line():
    line = format_metrics({"train/accuracy": 0.5, "train/loss": 2.0, "learning_rate": 0.1})
    assert line == "accuracy 50.00%  loss 2  learning_rate 0.1"


def test_numbers_in_names_are_sorted_as_numbers():
    names = ["recall@10", "tar@far=0.1", "map@r", "recall@5", "tar@far=0.01", "recall@1"]
    assert sorted(names, key=natural) == [
        *("map@r", "recall@1", "recall@5", "recall@10", "tar@far=0.01", "tar@far=0.1")
    ]
