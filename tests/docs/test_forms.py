"""The forms for contributors are ones that can be filled in, and CI does what .ci/run does."""

from importlib.util import find_spec
from typing import Any

import pytest

from docs.markdown import ROOT
from requiring import require

GITHUB = ROOT / ".github"
FORMS = sorted(GITHUB.glob("ISSUE_TEMPLATE/[!c]*.yml"))


def load(name: str) -> Any:
    require(find_spec("yaml"), "the dependency group docs")
    import yaml  # noqa: PLC0415  not always here

    return yaml.safe_load((GITHUB / name).read_text())


@pytest.mark.parametrize("name", [path.name for path in FORMS])
def test_form(name: str) -> None:
    form = load(f"ISSUE_TEMPLATE/{name}")
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids) > 0
    assert all(field["attributes"]["label"] for field in fields)


def test_workflow_runs_the_tests_and_knows_no_secrets() -> None:
    (job,) = load("workflows/ci.yml")["jobs"].values()
    step = job["steps"][-1]
    assert step == {"run": ".ci/run", "env": {"CI": "true"}}
    assert "secrets" not in (GITHUB / "workflows" / "ci.yml").read_text()


def test_there_are_forms_and_guides() -> None:
    assert [path.stem for path in FORMS] == ["bug", "feature"]
    for name in ("SECURITY.md", "CONTRIBUTING.md", "PULL_REQUEST_TEMPLATE.md"):
        assert (GITHUB / name).stat().st_size > 100
