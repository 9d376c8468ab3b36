"""Loaded before any test."""

# The folder localcloud/ has the package's name: pytest would take it for a namespace when it names the tests in it.
import localcloud  # noqa: F401
