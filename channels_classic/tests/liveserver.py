"""The old name of ``channels_classic.test.liveserver``."""

from __future__ import annotations

from channels_classic.test.liveserver import ChannelLiveServerTestCase

__all__ = ["ChannelLiveServerTestCase"]
