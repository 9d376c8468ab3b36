"""Metrics as log lines, in CloudWatch's embedded metric format.

The instant comes from the caller, so that a replayed event counts where it happened, whatever a clock says.

References
----------
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from operator import pos as _as_number  # a truth value becomes 0 or 1
from typing import NamedTuple

from everloop.names import METRIC_NAMESPACE


class MetricValue(NamedTuple):
    """One value of one metric; ``unit`` is CloudWatch's name of it, e.g. ``Count`` or ``Milliseconds``."""

    name: str
    value: float
    unit: str = "Count"


Apart = tuple[Sequence[MetricValue], Sequence[Sequence[str]]]
"""Metrics, and the combinations of dimensions under which each of them is counted."""


class EmfLines:
    """Log lines of one kind, of which only the numbers and some texts differ: the rest is written once.

    Parameters
    ----------
    constants : mapping
        Value of each dimension that is the same in every line.
    texts : sequence of str
        Names of the dimensions whose values differ. One that is in no set of dimensions is a property: found in the
        log, and counted as no metric.
    dimension_sets : sequence of sequence of str
        The combinations of dimensions under which each metric is counted.
    apart : sequence of pairs
        Further metrics of every line, each group with dimension sets of its own.
    """

    def __init__(
        self,
        constants: Mapping[str, str],
        texts: Sequence[str],
        *,
        dimension_sets: Sequence[Sequence[str]],
        apart: Sequence[Apart] = (),
        namespace: str = METRIC_NAMESPACE,
    ) -> None:
        self._constants, self._texts, self._namespace = constants, texts, namespace
        self._sets, self._apart = dimension_sets, apart
        self._forms: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[str, str]] = {}

    def line(self, metrics: Sequence[MetricValue], values: Sequence[str], epoch_ms: int) -> str:
        """The line that CloudWatch turns into metrics.

        Parameters
        ----------
        metrics : sequence of MetricValue
            From 1 to 100, each name once.
        values : sequence of str
            Of the ``texts``, in their order.
        epoch_ms : int
            When it was measured, in milliseconds since 1970.

        Raises
        ------
        ValueError
            When a metric's value is no number in JSON.
        """
        names, numbers, units = zip(*metrics, strict=True)
        head, form = self._forms.get((names, units)) or self._formed(names, units)
        # The sum of finite numbers is finite too, but for the largest ones.
        if not math.isfinite(sum(numbers)) and not all(map(math.isfinite, numbers)):
            raise _no_number(metrics)
        return head + form % (epoch_ms, *map(quoted, values), *map(_as_number, numbers))

    def pieces(self, names: Sequence[str], units: Sequence[str]) -> tuple[str, ...]:
        """What stands around the values in lines of such metrics; the values of the metrics apart are in it.

        In this order they are: when it was measured, the ``values`` of the texts (:func:`quoted`), and the metrics'
        numbers, which must be finite.
        """
        apart = [([(name, unit) for name, _, unit in group], sets) for group, sets in self._apart]
        directives = [
            {
                "Namespace": self._namespace,
                "Dimensions": [*map(list, sets)],
                "Metrics": [{"Name": name, "Unit": unit} for name, unit in group],
            }
            for group, sets in ((zip(names, units, strict=True), self._sets), *apart)
        ]
        written = json.dumps(directives, separators=(",", ":"))
        constant = "".join(f",{quoted(name)}:{quoted(value)}" for name, value in self._constants.items())
        last = "".join(f",{quoted(name)}:{_as_number(n)}" for group, _ in self._apart for name, n, _ in group)
        first, *others = (f",{quoted(name)}:" for name in (*self._texts, *names))
        return f'{{"_aws":{{"CloudWatchMetrics":{written},"Timestamp":', f"}}{constant}{first}", *others, f"{last}}}"

    def _formed(self, names: tuple[str, ...], units: tuple[str, ...]) -> tuple[str, str]:
        """How a line begins, and the form of what follows."""
        head, *others = self.pieces(names, units)
        self._forms[names, units] = formed = head, "%s".join(["%d" + _plain(others[0]), *map(_plain, others[1:])])
        return formed


def emf_line(
    metrics: Sequence[MetricValue],
    *,
    dimensions: Mapping[str, str],
    dimension_sets: Sequence[Sequence[str]],
    epoch_ms: int,
) -> str:
    """One line by itself; see :class:`EmfLines`."""
    return EmfLines(dimensions, (), dimension_sets=dimension_sets).line(metrics, (), epoch_ms)


def _no_number(metrics: Sequence[MetricValue]) -> ValueError:
    name, value = next((name, value) for name, value, _ in metrics if not math.isfinite(value))
    return ValueError(f"the metric {name} is {value}, which is no number in JSON")


def _plain(text: str) -> str:
    """The form of a text that stands in it as it is."""
    return text.replace("%", "%%")
