"""A client of the Lambda Runtime API in the standard library alone.

It stands in for ``awslambdaric`` where that can not be installed (it has wheels for Linux only): loads the
handler, takes events, reports results and errors in the same shapes. It runs inside the worker process, whose
import path holds the function, its layers and the runtime's packages, so it imports nothing of this project.
Run as ``python -S -P client.py``, with the environment that Lambda gives a runtime.
"""

from __future__ import annotations

import decimal
import http.client
import importlib
import json
import logging
import math
import os
import sys
import time
import traceback
from typing import Any

PREFIX = "/2018-06-01/runtime"
_REQUEST = {"id": ""}


class Fault(Exception):
    """The handler could not be loaded, or the event or result is not JSON; ``kind`` is Lambda's error type."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.trace = trace or []


class Identity:
    """The Cognito identity of a mobile caller; always empty here."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class LambdaContext:
    """The second argument of a handler."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.identity = Identity()
        self.client_context = None
        self.tenant_id = None
        self._deadline = int(headers.get("lambda-runtime-deadline-ms", "0"))

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is stopped."""
        return max(0, self._deadline - int(time.time() * 1000))

    def log(self, message: object) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(message))


class RuntimeClient:
    """The four calls of the Runtime API over one kept connection."""

    def __init__(self, address: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(address)
        self._authorization = {"Authorization": f"Bearer {token}"}

    def next(self) -> tuple[dict[str, str], bytes]:
        """Wait for an event: its headers (lower-cased) and its body."""
        self._connection.request("GET", f"{PREFIX}/invocation/next", headers=self._authorization)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"the Runtime API answered {response.status} to next: {body!r}")
        return {name.lower(): value for name, value in response.getheaders()}, body

    def post_result(self, request_id: str, body: bytes, content_type: str) -> None:
        """Report what the handler returned."""
        self._post(f"{PREFIX}/invocation/{request_id}/response", body, {"Content-Type": content_type})

    def post_error(self, request_id: str, error: dict[str, Any]) -> None:
        """Report what the handler raised."""
        self._post(f"{PREFIX}/invocation/{request_id}/error", _encode(error).encode(), _error_headers(error))

    def post_init_error(self, error: dict[str, Any]) -> None:
        """Report that the handler could not be loaded."""
        self._post(f"{PREFIX}/init/error", _encode(error).encode(), _error_headers(error))

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        self._connection.request("POST", path, body, {**headers, **self._authorization})
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 202:
            raise RuntimeError(f"the Runtime API answered {response.status} to {path}: {answer!r}")


def _error_headers(error: dict[str, Any]) -> dict[str, str]:
    return {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": error["errorType"]}


class _Encoder(json.JSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, decimal.Decimal):
            return math.nan if o.is_nan() else float(o)
        return super().default(o)


def _encode(value: object) -> str:
    return _Encoder(ensure_ascii=False).encode(value)


def load_handler(name: str) -> Any:
    """The callable that ``module.function`` names.

    Raises
    ------
    Fault
        With Lambda's error type for what is wrong.
    """
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack")
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            f"Cannot use built-in module {module_name} as a handler module",
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        message = f"Syntax error in module '{module_name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", message, trace) from error
    try:
        return getattr(module, function_name)
    except AttributeError as error:
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise Fault("Runtime.HandlerNotFound", message) from error


def _describe(error: BaseException, request_id: str | None) -> dict[str, Any]:
    if isinstance(error, Fault):
        kind, trace = error.kind, error.trace
    else:
        kind = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        trace = traceback.format_list([frame for frame in frames if frame.filename != __file__])
    described = {"errorMessage": str(error), "errorType": kind, "requestId": request_id or "", "stackTrace": trace}
    _log_error(described)
    return described


def _log_error(described: dict[str, Any]) -> None:
    lines = [f"[ERROR] {described['errorType']}: {described['errorMessage']}"]
    if described["stackTrace"]:
        lines.append("Traceback (most recent call last):")
        # one log event: the service splits at newlines, and non-breaking spaces keep the indentation
        for entry in described["stackTrace"]:
            for line in entry.splitlines():
                text = line.lstrip(" ")
                lines.append("\u00a0" * (len(line) - len(text)) + text)
    sys.stdout.write("\r".join(lines) + "\n")
    sys.stdout.flush()


class _RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = _REQUEST["id"]
        return True


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        sys.stdout.write(self.format(record))


def _set_up_logging() -> None:
    logging.Formatter.converter = time.gmtime
    handler = _Handler()
    handler.setFormatter(
        logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"
        )
    )
    handler.addFilter(_RequestIdFilter())
    logging.getLogger().addHandler(handler)


def _invoke(handler: Any, headers: dict[str, str], body: bytes) -> tuple[bytes, str]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from error
    result = handler(event, LambdaContext(headers))
    if isinstance(result, bytes):
        return result, "application/unknown"
    try:
        return _encode(result).encode(), "application/json"
    except (TypeError, ValueError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def main() -> None:
    """Load the handler and answer events until the service stops this process."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True, line_buffering=True)  # type: ignore[union-attr]  # they are text streams
    client = RuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"], os.environ.pop("_RUNTIME_API_TOKEN"))
    _set_up_logging()
    try:
        handler = load_handler(os.environ["_HANDLER"])
    except Exception as error:
        client.post_init_error(_describe(error, None))
        sys.exit(1)
    while True:
        headers, body = client.next()
        request_id = headers["lambda-runtime-aws-request-id"]
        _REQUEST["id"] = request_id
        if "lambda-runtime-trace-id" in headers:
            os.environ["_X_AMZN_TRACE_ID"] = headers["lambda-runtime-trace-id"]
        try:
            content, content_type = _invoke(handler, headers, body)
        except Exception as error:
            client.post_error(request_id, _describe(error, request_id))
        else:
            client.post_result(request_id, content, content_type)


if __name__ == "__main__":
    main()
