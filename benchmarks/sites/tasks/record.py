"""The form of the record that each run of a task leaves in a file."""

from __future__ import annotations

import struct
from typing import NamedTuple

RECORD = struct.Struct("=5Q")


class Record(NamedTuple):
    """One run of a task; times are nanoseconds on the clock that all processes share."""

    number: int
    sent: int
    started: int
    ended: int
    process: int
