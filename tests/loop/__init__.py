"""The whole loop, end to end. A package, because the cloud of ``conftest.py`` lives as long as its tests."""
