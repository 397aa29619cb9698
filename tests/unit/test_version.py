"""The version stands in one place."""

from importlib.metadata import version

import restartice


def test_version_is_the_distribution_s() -> None:
    assert version("restartice") == restartice.__version__
