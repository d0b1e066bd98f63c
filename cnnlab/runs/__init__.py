"""Runs as a whole: the final report, the representation report, baselines, controls, status."""
