"""The commands: each parses, calls one operation and prints what came of it."""
