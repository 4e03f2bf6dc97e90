"""The rule of CI that a skipped test is a failure, unless it needs a GPU and there is none."""

import signal
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

RULES = (Path(__file__).parents[1] / "conftest.py").read_text(encoding="utf-8")
SUITE = """
    import pytest

    @pytest.mark.gpu
    def test_on_a_gpu():
        pass

    def test_skipped_inside():
        pytest.skip("no reason")

    @pytest.mark.skipif(True, reason="never here")
    def test_skipped_by_mark():
        pass

    @pytest.mark.xfail(strict=True, reason="a known fault")
    def test_known_fault():
        raise AssertionError
"""


@pytest.fixture
def run(pytester):
    """Run a suite under the repository's rules, on a machine with or without a GPU."""

    def run_suite(suite, *options, gpu=False):
        pytester.makeconftest(f"{RULES}\n\ndef _has_gpu(): return {gpu}\n")
        pytester.makeini("[pytest]\nmarkers = gpu")
        pytester.makepyfile(test_suite=suite)
        return pytester.runpytest("-p", "no:hypothesispytest", *options)

    return run_suite


def test_skips_are_left_alone_by_default(run):
    run(SUITE).assert_outcomes(skipped=3, xfailed=1)


def test_only_the_want_of_a_gpu_excuses_a_skip(run):
    result = run(SUITE, "--fail-on-skip")
    result.assert_outcomes(skipped=1, failed=1, errors=1, xfailed=1)
    result.stdout.fnmatch_lines(["*never here*", "*only the want of a GPU excuses a skip*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_where_there_is_a_gpu_nothing_is_excused(run):
    skips = """
        import pytest

        @pytest.mark.gpu
        def test_on_a_gpu():
            pytest.skip("not today")
    """
    run(skips, "--fail-on-skip", gpu=True).assert_outcomes(failed=1)


def test_a_module_that_skips_itself_is_an_error(run):
    skips = "import pytest\npytest.importorskip('no_such_module')"
    assert run(skips, "--fail-on-skip").ret == pytest.ExitCode.INTERRUPTED


def test_interrupts_work_where_the_parent_ignores_them(pytester):
    pytester.makeconftest(RULES)
    pytester.makepyfile(
        """
        import signal, subprocess, sys

        def test_interrupt():
            code = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True)
            assert done.returncode == -signal.SIGINT
        """
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = pytester.runpytest_subprocess()
    finally:
        signal.signal(signal.SIGINT, before)
    result.assert_outcomes(passed=1)
