"""The sections of a declaration, a file for each: every key, and what keys of one section ask of each other."""
