"""CHANNELS_CLASSIC["MONITOR"]: what it may say."""

from __future__ import annotations

from dataclasses import fields

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels_classic.monitor.limits import Limits, limits


def test_without_the_setting_there_are_defaults(settings):
    del settings.CHANNELS_CLASSIC
    assert limits() == Limits()
    assert Limits().samples == 120


def test_the_setting_changes_them(settings):
    settings.CHANNELS_CLASSIC = {"MONITOR": {"channels": 7, "history": 60, "sample": 0.5}}
    found = limits()
    assert (found.channels, found.samples, found.groups) == (7, 120, Limits().groups)


def test_an_unknown_option_is_named_with_those_that_there_are(settings):
    settings.CHANNELS_CLASSIC = {"MONITOR": {"chanels": 7}}
    with pytest.raises(ImproperlyConfigured, match="no option 'chanels': it has channels, groups"):
        limits()


@pytest.mark.parametrize("name", [each.name for each in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, "5", None, True])
def test_each_is_a_number_above_0(name, value):
    with pytest.raises(ImproperlyConfigured, match=f"{name} must be a .*number above 0, not"):
        Limits(**{name: value})


def test_rows_are_whole_numbers_and_seconds_need_not_be():
    with pytest.raises(ImproperlyConfigured, match="channels must be a whole number"):
        Limits(channels=1.5)
    assert Limits(check=1.5).check == 1.5


def test_a_setting_that_is_no_dict_is_refused(settings):
    settings.CHANNELS_CLASSIC = {"MONITOR": 5}
    with pytest.raises(ImproperlyConfigured, match="not a dict but a int"):
        limits()
