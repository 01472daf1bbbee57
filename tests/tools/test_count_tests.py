"""The closing line of `make test` counts what JUnit files say, and decides."""

import subprocess
import sys
from pathlib import Path

import pytest

COUNT = Path(__file__).resolve().parents[2] / "tools" / "count_tests.py"

PASSED = '<testcase name="a"/>'
FAILED = '<testcase name="b"><failure message="no"/></testcase>'
ERROR = '<testcase name="c"><error message="no"/></testcase>'
SKIPPED = '<testcase name="d"><skipped message="no GPU"/></testcase>'
NOT_RUN = '<testcase name="e" status="notrun"/>'


def count(folder: Path, *arguments: str) -> tuple[int, str]:
    result = subprocess.run(
        [sys.executable, COUNT, folder, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout.splitlines()[-1]


def write(folder: Path, name: str, *cases: str) -> None:
    text = f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"
    (folder / name).write_text(text)


def test_several_files_are_summed(tmp_path):
    write(tmp_path, "pytest.xml", PASSED, SKIPPED)
    write(tmp_path, "ctest.xml", PASSED, PASSED, NOT_RUN)

    assert count(tmp_path) == (0, "3 passed, 0 failed, 2 skipped")


@pytest.mark.parametrize("case", [FAILED, ERROR])
def test_a_failure_fails(tmp_path, case):
    write(tmp_path, "pytest.xml", PASSED, case)

    assert count(tmp_path) == (1, "1 passed, 1 failed, 0 skipped")


def test_a_failed_step_counts_though_no_test_failed(tmp_path):
    write(tmp_path, "pytest.xml", PASSED)

    assert count(tmp_path, "--failed-step", "Build") == (
        1,
        "1 passed, 1 failed, 0 skipped",
    )


def test_a_failed_step_is_not_counted_on_top_of_its_tests(tmp_path):
    write(tmp_path, "pytest.xml", PASSED, FAILED)

    assert count(tmp_path, "--failed-step", "Python tests") == (
        1,
        "1 passed, 1 failed, 0 skipped",
    )


def test_no_test_at_all_fails(tmp_path):
    write(tmp_path, "pytest.xml", SKIPPED)

    assert count(tmp_path) == (1, "0 passed, 0 failed, 1 skipped")
