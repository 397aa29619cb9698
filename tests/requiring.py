"""What a test needs of the machine it runs on."""

import os

import pytest

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}


def require(condition: object, what: str) -> None:
    """Skip with a reason; in CI, where everything must run, fail."""
    if not condition:
        if IN_CI:
            pytest.fail(f"this must run in CI, and needs {what}")
        pytest.skip(f"needs {what}")
