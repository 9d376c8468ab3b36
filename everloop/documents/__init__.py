"""The documents that rooms hand each other as JSON: each with its type, one writer and one reader.

They import no room, so that every room may read them.
"""
