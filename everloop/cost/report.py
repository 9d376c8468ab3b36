"""The answer: what a month costs, line by line, and what could not be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from everloop.cost.free import COSTLY_SETTINGS, FREE
from everloop.cost.parts import PLATFORM, USES, Model, Use, model_wide
from everloop.cost.prices import Price
from everloop.cost.templates import Resource


@dataclass(frozen=True)
class Line:
    """One thing that is paid for.

    Attributes
    ----------
    part : str
        The service.
    counted : str
        What of it.
    quantity : float
        How much, in units of the price.
    unit : str
    usd : float or None
        A month; None where the price is unknown.
    why : sequence of str
        What it was counted from.
    source : str
        Where the price was read.
    read : str
        When, as ``2026-11``; empty where nothing was read.
    old : bool
        Whether that is so long ago that it is told.
    """

    part: str
    counted: str
    quantity: float
    unit: str
    usd: float | None
    why: Sequence[str]
    source: str
    read: str = ""
    old: bool = False


@dataclass(frozen=True)
class Cost:
    """What a stack costs a month.

    Attributes
    ----------
    lines : sequence of Line
        By part.
    unknown : sequence of str
        What the lines do not hold: resource types and settings that are not known here, and prices without a source.
    """

    lines: Sequence[Line]
    unknown: Sequence[str]

    @property
    def old(self) -> Sequence[Line]:
        """What is used at a price that was read long ago."""
        return [line for line in self.lines if line.old and line.quantity]

    @property
    def usd(self) -> float:
        """The sum of what is known."""
        return sum(line.usd or 0.0 for line in self.lines)

    def usd_by_part(self) -> Mapping[str, float]:
        """The same by part, the dearest first."""
        parts: dict[str, float] = {}
        for line in self.lines:
            parts[line.part] = parts.get(line.part, 0.0) + (line.usd or 0.0)
        return dict(sorted(parts.items(), key=lambda one: -one[1]))


def cost_of_model(model: Model, prices: Mapping[str, Price], *, models: int = 1) -> Cost:
    """What a model's stack, and its share of the platform's resources, costs a month.

    Parameters
    ----------
    models : int
        How many models like it there are: their use is added up before it is priced, as an account's is.
    """
    uses = [use for one in model.resources if one.type in USES for use in USES[one.type](one, model)]
    return _priced([*uses, *model_wide(model)], _untold(model.resources, {*USES, *FREE}), prices, models)


def cost_of_platform(resources: Sequence[Resource], prices: Mapping[str, Price]) -> Cost:
    """What the platform's stack costs a month, whatever is asked of the models."""
    uses = [use for one in resources if one.type in PLATFORM for use in PLATFORM[one.type](one)]
    return _priced(uses, _untold(resources, {*PLATFORM, *FREE}), prices, 1)


def _priced(uses: Iterable[Use], untold: Iterable[str], prices: Mapping[str, Price], models: int) -> Cost:
    together: dict[tuple[str, str, float | None], list[Use]] = {}
    for use in uses:
        together.setdefault((use.part, use.counted, use.usd_each), []).append(use)
    lines = [_line(same, prices, models) for _, same in sorted(together.items(), key=lambda one: one[0][:2])]
    unpriced = [
        f"{line.part}: {line.counted} ({'; '.join(line.why)}): {line.source}" for line in lines if line.usd is None
    ]
    return Cost(lines, [*untold, *unpriced])


def _line(same: Sequence[Use], prices: Mapping[str, Price], models: int) -> Line:
    first, quantity = same[0], models * sum(use.quantity for use in same)
    why = [use.why for use in same]
    price = prices.get(first.counted)
    if price is not None:
        usd = 0.0 if quantity == 0 else price.usd(quantity)
        return Line(
            first.part,
            first.counted,
            quantity / price.per,
            price.unit,
            usd,
            why,
            price.source,
            price.read,
            price.is_old,
        )
    is_serverless = first.counted == "GB-seconds"
    unit = "GB-second" if is_serverless else "hour" if first.part.startswith("SageMaker") else ""
    usd = 0.0 if quantity == 0 else None if first.usd_each is None else quantity * first.usd_each
    return Line(first.part, first.counted, quantity, unit, usd, why, first.source)


def _untold(resources: Sequence[Resource], known: set[str]) -> Iterator[str]:
    """Resources and settings that cost something which nothing here counts."""
    for kind, number in sorted(Counter(one.type for one in resources if one.type not in known).items()):
        yield f"{kind} ({number}): this type is not known here"
    for one in resources:
        for setting in COSTLY_SETTINGS.get(one.type, ()):
            value = _setting(one, setting)
            if value not in (None, False, "NONE"):
                yield f"{one.name} ({one.type}): {setting} costs extra, which is not counted"


def _setting(resource: Resource, path: str) -> object:
    """What stands at a path; where a list is on the way, what the first of it says that says anything."""
    return _value_at(resource.properties, path.split("."))


def _value_at(value: object, names: Sequence[str]) -> object:
    if not names:
        return value
    if isinstance(value, list):
        found = (_value_at(each, names) for each in value)
        return next((each for each in found if each not in (None, False)), None)
    return _value_at(value.get(names[0]), names[1:]) if isinstance(value, Mapping) else None
