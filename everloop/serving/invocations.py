"""Rows and answers of the protocols that are asked at ``/invocations``: JSON documents, JSON Lines and CSV.

A row without names has its values in the order of :attr:`everloop.serving.request.RequestParser.fields`: the key, the
version's numbers, its categories.

Sources: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ (the forms of the JSON document) and
https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html (JSON Lines, CSV).
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from everloop.serving.body import media_parameters, media_type
from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import JSON, Reply, json_reply
from everloop.serving.protocols import ServedModel
from everloop.serving.request import LONGEST_NAME, kind_of, parse_json
from everloop.serving.response import PROBABILITIES, STATUS_OF_CODE, about_scores, output_rows, outputs
from everloop.serving.rows import Rows
from everloop.serving.scores import Scores
from everloop.shown import shortened, shown

LINES = "application/jsonlines"
OTHER_LINES = ("application/x-jsonlines", "application/jsonl", "application/x-ndjson")
CSV = "text/csv"

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""The fields of a JSON document that rows come in; it has one of them."""

ERROR_CODES = {
    404: "RESOURCE_DOES_NOT_EXIST",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
"""MLflow's names of errors by status; every other one is a parameter's."""

_UNNAMED = "features"
"""The field of a row that gives its values without names."""


def rows_of_document(body: bytes, served: ServedModel) -> list[object] | Rows:
    """The rows of a JSON document of one of the :data:`FORMS`.

    Raises
    ------
    RequestError
    """
    read = served.parser.rows_of_body(body)
    if read is not None:
        return read
    document = parse_json(body)
    if not isinstance(document, dict):
        raise RequestError("wrong_type", f"the body is {kind_of(document)}; send an object with one of {_forms()}")
    given = [name for name in document if name in FORMS]
    if len(given) != 1:
        found = " and ".join(map(repr, given)) or "none"
        raise RequestError("no_instances", f"the body has {found} of {_forms()}; send one")
    for name in document:
        # MLflow's client always sends its parameters; no model here has any.
        if name not in FORMS and not (name == "params" and not document[name]):
            name = shortened(name, LONGEST_NAME)
            raise RequestError(
                "unknown_feature", f"the body has the field {name!r}, which the model does not take", field=name
            )
    (form,) = given
    value = document[form]
    if form == "dataframe_split":
        rows = _of_split(value)
    elif form == "inputs" and isinstance(value, dict):
        rows = _of_columns(value)
    else:
        rows = _list(value, form)
    named = (_named(row, index, served) for index, row in enumerate(rows[: _most(served) + 1]))
    return _counted([_without_nan(row) for row in named], served, form)


def rows_of_lines(body: bytes, served: ServedModel) -> list[object]:
    """The rows of JSON Lines, an object each.

    Raises
    ------
    RequestError
    """
    rows: list[object] = []
    for line in body.splitlines():
        if not line.strip():
            continue
        if len(rows) <= _most(served):
            try:
                rows.append(_named(parse_json(line), len(rows), served))
            except RequestError as error:
                raise RequestError(error.code, error.message, field=error.field, index=len(rows)) from error
    return _counted(rows, served, "the body")


def rows_of_csv(body: bytes, content_type: str, served: ServedModel, *, header: bool | None = None) -> list[object]:
    """The rows of CSV; an empty cell is a missing value.

    Parameters
    ----------
    header : bool, optional
        Whether the first line has names. Else ``header=present`` or ``header=absent`` of the content type says so
        (RFC 4180), and where it says nothing: a line of nothing but known names is one.

    Raises
    ------
    RequestError
    """
    lines = _lines_of_csv(body)
    first = next(lines, None)
    if first is None:
        raise RequestError("no_instances", "the body has no lines; send 1 or more rows")
    said = {"present": True, "absent": False}.get(media_parameters(content_type).get("header", "").lower())
    header = said if header is None else header
    if header is None:
        header = all(cell in served.parser.fields for cell in first)
    names = tuple(first) if header else served.parser.fields
    if len(set(names)) != len(names):
        raise RequestError("malformed_json", f"the first line names a field twice: {shown(','.join(names))}")
    rows: list[object] = []
    if not header:
        rows.append(_of_cells(first, names, 0, served))
    for cells in lines:
        if len(rows) > _most(served):
            break
        rows.append(_of_cells(cells, names, len(rows), served))
    return _counted(rows, served, "the body")


def answer(served: ServedModel, scores: Scores, request_id: str, media: str, *, header: bool = False) -> Reply:
    """The answer in the form that ``media`` names: JSON, JSON Lines, or CSV with a header line where wanted.

    JSON says version and calibration once, the others in each row.
    """
    contract = served.contract
    if media == JSON:
        return served.reply(
            {
                "predictions": output_rows(contract, scores, request_id),
                "model": contract.model,
                "version": served.version,
                **about_scores(scores),
            }
        )
    facts: dict[str, object] = {"version": served.version, **about_scores(scores)}
    if media == LINES:
        rows = (row | facts for row in output_rows(contract, scores, request_id))
        text = "".join(json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n" for row in rows)
        return Reply(text.encode(), LINES)
    columns = outputs(contract, scores, request_id)
    # What is decided comes first, as readers of SageMaker's CSV take it; what names the row comes last.
    ids = columns.pop("prediction_id")
    # A cell has one value: each class has a column of its own.
    for row_of_each in columns.pop(PROBABILITIES, []):
        assert isinstance(row_of_each, dict)
        for name, value in row_of_each.items():
            columns.setdefault(f"{PROBABILITIES}.{name}", []).append(value)
    columns |= {"prediction_id": ids, **{name: [value] * len(ids) for name, value in facts.items()}}
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return Reply(written.getvalue().encode(), f"{CSV}; charset=utf-8; header={'present' if header else 'absent'}")


def refusal(code: str, message: str, field: str | None, index: int | None) -> Reply:
    """MLflow's ``error_code`` and ``message``, and beside them what the native protocol says."""
    name = ERROR_CODES.get(STATUS_OF_CODE[code], "INVALID_PARAMETER_VALUE")
    return json_reply({"error_code": name, "message": message, "code": code, "field": field, "index": index})


def accepted(accept: str, offered: Sequence[str], otherwise: str) -> tuple[str, bool]:
    """Which of the offered types a header ``accept`` wants, and whether it asks for a line of names (CSV).

    Parameters
    ----------
    otherwise : str
        Where anything is welcome.

    Raises
    ------
    RequestError
        ``not_acceptable``.
    """
    ranges = [part for part in accept.split(",") if part.strip()]
    for part in sorted(ranges, key=_quality, reverse=True):
        media = plain_type(part)
        if _quality(part) > 0 and media == "*/*":
            return otherwise, False
        kinds = [one for one in offered if media in (one, f"{one.partition('/')[0]}/*")]
        if _quality(part) > 0 and kinds:
            chosen = otherwise if otherwise in kinds else kinds[0]
            return chosen, media_parameters(part).get("header", "").lower() == "present"
    if not ranges:
        return otherwise, False
    raise RequestError("not_acceptable", f"accept is {shown(accept)}; offered are {', '.join(offered)}")


def plain_type(content_type: str) -> str:
    """The media type, with one name for JSON Lines."""
    media = media_type(content_type)
    return LINES if media in OTHER_LINES else media


def _quality(media_range: str) -> float:
    try:
        return float(media_parameters(media_range).get("q", "1"))
    except ValueError:
        return 0.0


def _of_split(value: object) -> list[object]:
    if not isinstance(value, dict) or not {"columns", "data"} <= value.keys() <= {"columns", "data", "index"}:
        raise RequestError(
            "wrong_type",
            f"'dataframe_split' is {shown(value)}; send an object of 'columns' and 'data' (pandas: orient='split')",
            field="dataframe_split",
        )
    columns = _list(value["columns"], "columns")
    if not all(isinstance(name, str) for name in columns) or len(set(columns)) != len(columns):
        raise RequestError("wrong_type", "'columns' are not names, each of them once", field="columns")
    rows: list[object] = []
    for index, values in enumerate(_list(value["data"], "data")):
        if not isinstance(values, list) or len(values) != len(columns):
            found = f"{len(values)} values" if isinstance(values, list) else kind_of(values)
            message = f"the row has {found}; send a list of {len(columns)}, as 'columns' has names"
            raise RequestError("wrong_type", message, field="data", index=index)
        rows.append(dict(zip(columns, values, strict=True)))
    return rows


def _of_columns(columns: Mapping[str, object]) -> list[object]:
    lists = {name: _list(values, shortened(name, LONGEST_NAME)) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        shortest_name, longest_name = shortened(shortest, LONGEST_NAME), shortened(longest, LONGEST_NAME)
        raise RequestError(
            "wrong_shape",
            f"{shortest_name!r} has {lengths[shortest]} values, and {longest_name!r} has {lengths[longest]}",
            field=shortest_name,
        )
    # numpy writes a column of one axis more so.
    flat = {
        name: [v[0] if isinstance(v, list) and len(v) == 1 else v for v in values] for name, values in lists.items()
    }
    return [dict(zip(flat, row, strict=True)) for row in zip(*flat.values(), strict=True)]


def _named(row: Any, index: int, served: ServedModel) -> object:
    """The row with its names: some callers give the values alone, as a list or as the one field ``features``."""
    fields = served.parser.fields
    if isinstance(row, dict) and len(row) == 1 and _UNNAMED in row and _UNNAMED not in fields:
        row = row[_UNNAMED]
    if not isinstance(row, list):
        return row
    return dict(zip(_as_many(len(row), fields, index, served), row, strict=True))


def _without_nan(row: object) -> object:
    """The row with null for NaN: so MLflow's client writes what pandas misses, a bare word that is not JSON."""
    if not isinstance(row, dict):
        return row
    return {name: None if isinstance(value, float) and value != value else value for name, value in row.items()}


def _of_cells(cells: list[str], names: tuple[str, ...], index: int, served: ServedModel) -> dict[str, object]:
    given = _as_many(len(cells), names, index, served)
    return {name: _value(cell, name, index, served) for name, cell in zip(given, cells, strict=True)}


def _as_many(found: int, names: tuple[str, ...], index: int, served: ServedModel) -> tuple[str, ...]:
    """The names of so many values; without a header, those that only the declaration has may be left out."""
    contract = served.contract
    needed = 1 + len(contract.numbers) + len(contract.categories)
    if found == len(names) or (names == served.parser.fields and found == needed):
        return names[:found]
    raise RequestError(
        "wrong_type", f"the row has {found} values, not {len(names)}: {shortened(', '.join(names), 300)}", index=index
    )


def _value(cell: str, name: str, index: int, served: ServedModel) -> object:
    if cell == "" and name != served.contract.key:
        return None
    if name not in served.parser.numbers:
        return cell
    try:
        # Python's own spelling of numbers is no one else's.
        number = math.nan if "_" in cell else float(cell)
    except ValueError:
        number = math.nan
    if number != number:
        raise RequestError(
            "wrong_type",
            f"{name!r} is {shown(cell)}; send a number, or nothing for a missing value",
            field=name,
            index=index,
        )
    return number


def _lines_of_csv(body: bytes) -> Iterator[list[str]]:
    try:
        text = body.decode("utf-8-sig")
        yield from (line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line)
    except UnicodeDecodeError as error:
        raise RequestError("malformed_json", f"the body is not UTF-8: {error}") from error
    except csv.Error as error:
        raise RequestError("malformed_json", f"the body is not CSV: {error}") from error


def _counted(rows: list[object], served: ServedModel, what: str) -> list[object]:
    if not rows:
        raise RequestError("no_instances", f"{what} has no rows; send 1 or more")
    if len(rows) > _most(served):
        raise RequestError(
            "too_many_instances", f"{what} has more than {_most(served)} rows; no more are accepted at once"
        )
    return rows


def _most(served: ServedModel) -> int:
    return served.contract.max_rows


def _list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError("wrong_type", f"{name!r} is {kind_of(value)}; send a list", field=name)
    return value


def _forms() -> str:
    return ", ".join(map(repr, FORMS))
