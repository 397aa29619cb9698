"""The forms for contributors are ones that can be filled in, and CI does what .ci/run does."""

import os
import subprocess
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


def test_workflow_lints_then_runs_all_tests_as_anywhere() -> None:
    jobs = load("workflows/ci.yml")["jobs"]
    assert jobs["lint"]["steps"][-1] == {"run": ".ci/lint"}
    assert jobs["unit"]["steps"][-1] == {"run": ".ci/unit"}
    assert jobs["run"]["steps"][-1] == {"run": ".ci/run", "env": {"CI": "true"}}
    assert jobs["run"]["needs"] == "lint"


def test_only_what_publishes_may_sign_as_the_project() -> None:
    workflow = load("workflows/publish.yml")
    assert workflow["permissions"] == {"contents": "read"}
    rights = {name: job.get("permissions") for name, job in workflow["jobs"].items()}
    assert rights == {"build": None, "publish": {"id-token": "write"}}
    # The job that has that right runs no code of the repository.
    assert not any("run" in step for step in workflow["jobs"]["publish"]["steps"])


@pytest.mark.parametrize("name", ["ci.yml", "publish.yml"])
def test_workflows_know_no_secrets_and_run_scripts_that_are_there(name: str) -> None:
    assert "secrets" not in (GITHUB / "workflows" / name).read_text()
    for job in load(f"workflows/{name}")["jobs"].values():
        for step in job["steps"]:
            script = step.get("run", "").split(" ")[0]
            assert not script.startswith(".ci/") or os.access(ROOT / script, os.X_OK), script


@pytest.mark.parametrize("tag", ["v99.0.0", "v", ""])
def test_a_tag_of_another_version_is_not_released(tag: str) -> None:
    done = subprocess.run(
        [ROOT / ".ci" / "release", tag], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "error: the version" in done.stderr or "usage" in done.stderr


def test_there_are_forms_and_guides() -> None:
    assert [path.stem for path in FORMS] == ["bug", "feature"]
    for name in ("SECURITY.md", "CONTRIBUTING.md", "PULL_REQUEST_TEMPLATE.md"):
        assert (GITHUB / name).stat().st_size > 100
