"""What exceptions of projects of Channels 1 rely on."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import ChannelSocketException, ConsumeLater, DenyConnection


@pytest.mark.parametrize("error", [ConsumeLater, DenyConnection, ChannelSocketException])
def test_an_exception_takes_any_arguments(error):
    assert error("busy", 2).args == ("busy", 2)
