"""The trainer: state, step, parallel strategies, checkpoints, evaluation and the loop."""
