"""What a check found, and what it was given to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.operations.preflight.needs import Needs

State = Literal["good", "missing", "unknown"]

_MAY_NOT = ("AccessDenied", "UnauthorizedOperation", "NotAuthorized")


@dataclass(frozen=True)
class Finding:
    """One thing that a deployment needs.

    Attributes
    ----------
    check : str
        Which check it is of.
    state : str
        ``good``, ``missing``, or ``unknown``: where these credentials may not look, and where nobody can.
    sentence : str
        What was found, with its figures.
    remedy : str or None
        The command or request that cures it; of what is good there is none.
    """

    check: str
    state: State
    sentence: str
    remedy: str | None = None


class Check(Protocol):
    """One question to an account. It reads; nothing is changed by it."""

    name: str

    def look(self, account: Account, needs: Needs) -> Iterator[Finding]:
        """What was found.

        Raises
        ------
        MayNotLook
            When the account refuses the question.
        """


class MayNotLook(Exception):
    """The account refuses a question.

    Attributes
    ----------
    action : str
        The IAM action that was refused.
    """

    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(action)


def asked(action: str, operation: Callable[..., Any], **given: Any) -> Any:
    """The account's answer to an operation that needs an IAM action.

    Raises
    ------
    MayNotLook
        When it is refused for lack of permission.
    """
    try:
        return operation(**given)
    except ClientError as error:
        if str(error.response["Error"]["Code"]).startswith(_MAY_NOT):
            raise MayNotLook(action) from error
        raise


def error_code(error: ClientError) -> str:
    """What AWS calls an error."""
    return str(error.response["Error"]["Code"])
