"""How many examples a property is held against, and what is not asked of them: a profile of Hypothesis."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

EXAMPLES = 40


def load_profile() -> None:
    """From now on: how long an example takes says how busy the machine is.

    Each run draws anew, in CI and elsewhere; for one property's sake: ``--hypothesis-profile=thorough``.
    """
    settings.register_profile(
        "whatever the machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=EXAMPLES
    )
    settings.register_profile("thorough", settings.get_profile("whatever the machine"), max_examples=1000)
    settings.load_profile("whatever the machine")
