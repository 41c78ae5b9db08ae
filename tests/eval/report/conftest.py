"""Fixtures of pages."""

from pages import browser, run  # noqa: F401
