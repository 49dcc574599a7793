"""Hooks for every test: what comparisons saw can be recorded, see tests/validation."""

from validation.plugin import pytest_configure, pytest_runtest_logreport, pytest_sessionfinish

__all__ = ["pytest_configure", "pytest_runtest_logreport", "pytest_sessionfinish"]
