"""What a command can refuse, each with what to type next."""

from __future__ import annotations

from everloop.typed_json import JsonObject

CREDENTIALS_REMEDY = (
    "for AWS: `aws configure` or `aws sso login` (and AWS_PROFILE, AWS_REGION); "
    'for the local cloud: eval "$(everloop local env)"'
)
"""What to type where the account can't be reached."""

DEPLOY = "npx aws-cdk@2.1148.1 deploy --all"
"""What deploys, with the version that can read the templates: docs/after-deploy.md says why it is pinned."""

DEPLOY_REMEDY = f"`{DEPLOY}` or, in the local cloud, `everloop local up`"


class CommandError(Exception):
    """A command can't do what was asked.

    Attributes
    ----------
    message : str
        The place and the value that are wrong.
    remedy : str
        What to type, or to change, next.
    """

    def __init__(self, message: str, remedy: str) -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}\n  → {remedy}")


class NotDeployedError(CommandError):
    """The account and region hold no Everloop, or not this model."""


class CredentialsError(CommandError):
    """There are no credentials or no region, or the account refuses them."""


class RefusedDataError(CommandError):
    """A file breaks the data contract; nothing of it was imported."""


class RunActiveError(CommandError):
    """A pipeline run of the model is active; nothing was changed."""


class ApiRefusedError(CommandError):
    """The API answered with an error.

    Attributes
    ----------
    status, body
        As it answered.
    told : dict
        The error of the body: ``code``, ``message``, and where; empty where it has none.
    index : int or None
        The row or label of the request that it is about, from 0.
    retry_after : float or None
        In how many seconds it says to come back; None where it does not say.
    answer : str
        What it said, without that place.
    """

    def __init__(self, status: int, body: JsonObject, remedy: str, *, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        self.body = body
        found = body.get("error")
        self.told = error = found if isinstance(found, dict) else {}
        text = error.get("message") or body.get("message") or "no reason given"
        self.index: int | None = error["index"] if isinstance(error.get("index"), int) else None
        # The API counts from 0, as JSON lists are counted; people count rows from 1.
        field = f"{error['field']}, " if error.get("field") else ""
        place = "" if self.index is None else f" ({field}row {self.index + 1} of the request)"
        self.answer = f"the API answered {status}: {text}"
        super().__init__(self.answer + place, remedy)

    @property
    def is_shed(self) -> bool:
        """Whether there was too much of it, and the same may be answered later."""
        return self.status == 429 or (self.status == 503 and self.retry_after is not None)
