"""GoogLeNet with five of its nine modules, for tests that have to compile it."""

import pytest

from cnnlab.models import googlenet

# Those before the pools, those with auxiliary classifiers, and the last.
KEPT = ("inception3b", "inception4a", "inception4d", "inception4e", "inception5b")


@pytest.fixture(scope="module")
def short_googlenet():
    """Leave out the other four modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(googlenet, "MODULES", {name: googlenet.MODULES[name] for name in KEPT})
        yield
