"""The system check of the live page's limits.

=========================  =====================================================================
``channels_classic.W005``  MONITOR of CHANNELS_CLASSIC has an unknown key, or a value it cannot have
=========================  =====================================================================
"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from channels_classic.monitor.limits import limits

ID = "W005"
HINT = "The live page does not work with it. Write {'MONITOR': {'channels': 100}}."


def check_limits(**kwargs: Any) -> list[CheckMessage]:
    """``MONITOR`` names limits, with values that they can have: W005."""
    try:
        limits()
    except ImproperlyConfigured as error:
        return [CheckWarning(f"{error}.", hint=HINT, id=f"channels_classic.{ID}")]
    except (AttributeError, TypeError, ValueError):
        return []  # W003 is about a CHANNELS_CLASSIC that is no dict
    return []
