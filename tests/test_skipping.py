"""The switch that forbids skipping."""

import re
import subprocess
import sys
from pathlib import Path

from tests.processes import environment

HOOKS = "from tests.skipping import pytest_make_collect_report, pytest_runtest_makereport\n"
WAYS = {
    "called": "import pytest\ndef test_it(): pytest.skip('no browser')\n",
    "marked": "import pytest\n@pytest.mark.skip(reason='no browser')\ndef test_it(): pass\n",
    "conditional": (
        "import pytest\n@pytest.mark.skipif(True, reason='no browser')\ndef test_it(): pass\n"
    ),
    "fixture": (
        "import pytest\n@pytest.fixture\ndef browser(): pytest.skip('no browser')\n"
        "def test_it(browser): pass\n"
    ),
    "file": "import pytest\npytest.skip('no browser', allow_module_level=True)\n",
}
EXPECTED_TO_FAIL = "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n"


def run(folder: Path, **environ: str) -> tuple[int, str]:
    """Exit code and output of pytest over one file for each way to skip, and one that may fail."""
    (folder / "conftest.py").write_text(HOOKS)
    for name, text in {**WAYS, "expected": EXPECTED_TO_FAIL}.items():
        (folder / f"test_{name}.py").write_text(text)
    options = ["-ra", "-c", "/dev/null", "--rootdir", ".", "--continue-on-collection-errors"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "."],
        cwd=folder, env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **environ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout


def test_skipped_tests_are_shown_with_their_reasons(tmp_path: Path) -> None:
    code, out = run(tmp_path)
    assert code == 0
    assert f"{len(WAYS)} skipped, 1 xfailed" in out
    assert len(re.findall(r"^SKIPPED .*: no browser$", out, re.MULTILINE)) == len(WAYS)


def test_where_skipping_is_forbidden_every_way_to_skip_fails_with_its_reason(
    tmp_path: Path,
) -> None:
    code, out = run(tmp_path, GATE_TESTS_FORBID_SKIPPING="1")
    assert code == 1
    last = out.splitlines()[-1]
    assert "skipped" not in last
    assert "1 xfailed" in last
    assert sum(int(number) for number in re.findall(r"(\d+) (?:failed|errors?)", last)) == len(WAYS)
    assert len(re.findall("no browser, and GATE_TESTS_FORBID_SKIPPING is set$", out, re.M)) >= 5
