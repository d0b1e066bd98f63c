"""To come."""

from cnnlab.models.architecture import Architecture

MODELS: dict[str, Architecture] = {}
