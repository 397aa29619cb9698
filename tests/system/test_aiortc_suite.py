"""aiortc's own tests pass with restartice's classes in place of aiortc's.

They are those of the installed version's source distribution, which is downloaded.
"""

import subprocess
import sys
from importlib.metadata import version

import pytest

import restartice
from aiortc_suite.suite import ENVIRONMENT, Results, Suite, differences, download, surprises
from docs.markdown import ROOT


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return Suite(download(version("aiortc"), tmp_path_factory.mktemp("aiortc")))


@pytest.fixture(scope="module")
def results(suite: Suite) -> Results:
    return suite.run_all()


def test_the_package_under_test_is_the_one_imported_here() -> None:
    program = [sys.executable, "-c", "import restartice; print(restartice.__file__)"]
    imported = subprocess.check_output(program, env=ENVIRONMENT, cwd="/", text=True)
    assert imported.strip() == restartice.__file__


@pytest.mark.timeout(900)
def test_all_pass_but_those_that_the_specification_contradicts(results: Results) -> None:
    listed = differences()
    assert {test: results.failed.get(test) for test in surprises(results, listed)} == {}
    assert len(results.of("test_rtcpeerconnection.py")) > 80
    assert len(results.passed) > 300
    for note in results.notes:
        print(note)


@pytest.mark.timeout(300)
def test_what_differs_passes_with_aiortc_itself(suite: Suite) -> None:
    plain = suite.run(differences(), plain=True)
    assert plain.passed == set(differences())


def test_each_difference_is_documented() -> None:
    page = (ROOT / "examples/docs/pages/differences.md").read_text()
    for test in differences():
        assert test.rpartition("::")[2] in page
