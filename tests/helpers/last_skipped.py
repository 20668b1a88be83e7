"""`--last-skipped`: a run remembers what it skipped, so that this can be run alone.

Once all that it wants is there.
"""

import pytest

_SKIPPED = "last_skipped"  # in pytest's cache


def pytest_addoption(parser):
    parser.addoption(
        "--last-skipped", action="store_true", help="only the tests that the last run skipped"
    )


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # the process that hears of all tests
        config.pluginmanager.register(_Skipped(config))


class _Skipped:
    def __init__(self, config):
        self.config, self.names = config, []

    def pytest_runtest_logreport(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            self.names.append(report.nodeid)

    def pytest_sessionfinish(self, session, exitstatus):
        if hasattr(self.config, "cache") and not self.config.option.collectonly:
            self.config.cache.set(_SKIPPED, self.names)
        if self.config.option.last_skipped and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK  # there was nothing to catch up on


def pytest_collection_modifyitems(config, items):
    if config.option.last_skipped:
        names = set(config.cache.get(_SKIPPED, []))
        chosen = [item for item in items if item.nodeid in names]
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in names])
        items[:] = chosen
