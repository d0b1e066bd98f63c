"""What can be read off a model, a data set or a finished run."""
