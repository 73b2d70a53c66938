"""The switch that forbids skipping: with GATE_TESTS_FORBID_SKIPPING=1 in the environment a skipped
test is a failed one, so that the full run cannot pass by leaving something out.

Without it pytest shows each skipped test with its reason.
"""

import os
from collections.abc import Generator

import pytest

Report = pytest.TestReport | pytest.CollectReport


def _judged(report: Report) -> None:
    forbidden = os.environ.get("GATE_TESTS_FORBID_SKIPPING") == "1"
    # what is expected to fail is reported as skipped too, and was run
    if forbidden and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}, and GATE_TESTS_FORBID_SKIPPING is set"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Of a test, or of its fixtures."""
    report = yield
    _judged(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Of a whole file."""
    report = yield
    _judged(report)
    return report
