"""What requests to Lambda need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localcloud.iam.calls import Access, Call, UnclearRequestError
from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError
from localcloud.services.lambda_.runtime.functions import split_name


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    action = "InvokeFunction" if call.action in ("Invoke", "InvokeAsync", "InvokeWithResponseStream") else call.action
    name = call.params.get("FunctionName")
    if not name:
        return [Access(f"lambda:{action}")]
    arn = _lambda_function_arn(call, name, call.params.get("Qualifier"))
    return [Access(f"lambda:{action}", (arn,))]


def passed_roles(call: Call) -> Iterator[tuple[str, str]]:
    """Roles that a request hands to the service: the ARN of each, and the principal that will assume it."""
    if call.action in ("CreateFunction", "UpdateFunctionConfiguration") and call.params.get("Role"):
        yield call.params["Role"], "lambda.amazonaws.com"


def _lambda_function_arn(call: Call, name: str, qualifier: str | None) -> str:
    """The ARN of a function given in any form of its name, with its qualifier when there is one; as it is looked up."""
    try:
        bare, qualifier = split_name(name, qualifier)
    except InvalidParameterValueError as error:
        raise UnclearRequestError(str(error)) from error
    if name.startswith("arn:") and not name.startswith(call.arn("lambda", "function:")):
        raise UnclearRequestError(f"{name} is of another region or account: functions here are of {call.region}")
    return call.arn("lambda", f"function:{bare}:{qualifier}" if qualifier else f"function:{bare}")
