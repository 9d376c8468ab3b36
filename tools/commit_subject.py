"""Refuses a commit whose subject is too long: ``python tools/commit_subject.py MESSAGE_FILE``, a hook of pre-commit."""

from __future__ import annotations

import sys
from pathlib import Path

LONGEST = 71


def refusal(message: str) -> str | None:
    """Why a commit message is refused; None where it is not. Lines of comments are none of it."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = next((line.strip() for line in lines if line.strip()), "")
    if not subject:
        return "the commit has no subject: say what changed"
    if len(subject) > LONGEST:
        return (
            f"the subject has {len(subject)} characters: say what changed in {LONGEST} at most, and why in the body\n"
            f"  {subject[:LONGEST]}|{subject[LONGEST:]}"
        )
    following = lines[lines.index(next(line for line in lines if line.strip())) + 1 :]
    if following and following[0].strip():
        return f"the second line is {following[0]!r}: leave it empty, and begin the body after it"
    return None


def main(arguments: list[str]) -> int:
    """Check the message in a file; 1 where it is refused."""
    refused = refusal(Path(arguments[0]).read_text(encoding="utf-8"))
    if refused:
        print(refused, file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
