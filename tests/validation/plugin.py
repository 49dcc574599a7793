"""Hooks of the validation: record comparisons, and break something on purpose when asked."""

import os

import pytest
from validation import recorder


def pytest_configure(config):
    """AIBMD_SABOTAGE names one shifted reference or one engine defect, see sabotage.py."""
    wanted = os.environ.get("AIBMD_SABOTAGE")
    if wanted:
        from validation import sabotage

        sabotage.switch_in(wanted)


@pytest.hookimpl
def pytest_runtest_logreport(report):
    if report.when == "call":
        recorder.record_outcome(report.nodeid, report.outcome)


def pytest_sessionfinish(session):
    recorder.write()
