"""What may be pushed."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

DAYS = 7
#: What forms begin with, and what is shown as an example.
EXAMPLE = [12, 19, 3, 5, 2, 3, 9]
LARGEST = 1_000_000_000
_COUNT = f"A week has {DAYS} numbers, one for each day."


class WeekSerializer(serializers.Serializer[Any]):
    """Seven integers."""

    data = serializers.ListField(
        child=serializers.IntegerField(
            min_value=-LARGEST,
            max_value=LARGEST,
            error_messages={"null": "A number is missing.", "invalid": "This is no integer."},
        ),
        min_length=DAYS,
        max_length=DAYS,
        initial=EXAMPLE,
        error_messages={"min_length": _COUNT, "max_length": _COUNT},
    )
