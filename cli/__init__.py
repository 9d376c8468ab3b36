"""The ``everloop`` command: thin commands over operations that work on any account."""
