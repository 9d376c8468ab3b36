"""Authorization of what a service does on somebody's behalf without a request over the wire.

Firehose and Athena read and write through moto's backends in this process. Whoever they act for must be
allowed every one of those actions, as if the service had made the request with that identity.
"""

from __future__ import annotations

from localcloud.core.context import CloudContext
from localcloud.iam.calls import Access as RequiredAccess
from localcloud.iam.guard import Guard
from localcloud.iam.signer import current_signer


def signing_key() -> str | None:
    """The access key that signed the request in hand."""
    signer = current_signer()
    return signer.access_key_id if signer else None


class Access:
    """What one identity is allowed to do.

    Parameters
    ----------
    context : CloudContext
    access_key_id : str
        Signs the identity's requests: the operator's, or that of a role session.

    Raises
    ------
    DeniedError
        When nobody has this access key.
    """

    def __init__(self, context: CloudContext, access_key_id: str | None) -> None:
        self._context = context
        self._guard = Guard(context)
        self._is_operator = access_key_id == context.operator.access_key_id
        if not self._is_operator:
            self._session = self._guard.session(access_key_id)
            self._keys = self._guard.request_context(self._session, context.region)

    def require(self, action: str, resource: str, *, bucket_policy: str | None = None, **keys: str) -> None:
        """Check that the identity may do ``action`` on the resource with that ARN.

        Parameters
        ----------
        bucket_policy : str, optional
            The policy of the bucket that the resource is, or is in.
        **keys : str
            Condition keys of the service; ``__`` stands for the colon.

        Raises
        ------
        DeniedError
            When it may not; the message names identity, action and resource.
        """
        if self._is_operator:
            return
        conditions = {key.replace("__", ":"): (value,) for key, value in keys.items()}
        access = RequiredAccess(action, (resource,), conditions)
        self._guard.require(self._session, access, self._keys, "AccessDenied", bucket_policy)
