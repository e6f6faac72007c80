"""Texts that are names: which are rewritten, and which only look like it."""

from __future__ import annotations

import pytest

from channels_classic.migrate import python, strings


def after(source: str) -> str:
    return python.rewrite(source).data.decode()


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("INSTALLED_APPS = ['channels']", "INSTALLED_APPS = ['channels_classic']"),
        ('INSTALLED_APPS += ("channels",)', 'INSTALLED_APPS += ("channels_classic",)'),
        ("THIRD_PARTY_APPS: list = ['channels']", "THIRD_PARTY_APPS: list = ['channels_classic']"),
        ("INSTALLED_APPS.append('channels')", "INSTALLED_APPS.append('channels_classic')"),
        (
            "settings.configure(INSTALLED_APPS=['channels'])",
            "settings.configure(INSTALLED_APPS=['channels_classic'])",
        ),
        ("X = {'INSTALLED_APPS': ['channels']}", "X = {'INSTALLED_APPS': ['channels_classic']}"),
        (
            "x = 'channels' in settings.INSTALLED_APPS",
            "x = 'channels_classic' in settings.INSTALLED_APPS",
        ),
        ("apps.is_installed(u'channels')", "apps.is_installed(u'channels_classic')"),
        ("import_module('channels.routing')", "import_module('channels_classic.routing')"),
        ("pytest.importorskip('channels')", "pytest.importorskip('channels_classic')"),
        (
            "INSTALLED_APPS = ['channels.apps.ChannelsConfig']",
            "INSTALLED_APPS = ['channels_classic.apps.ChannelsConfig']",
        ),
        (
            "route('x', 'channels.routing.null_consumer')",
            "route('x', 'channels_classic.routing.null_consumer')",
        ),
        (
            "R = {'http.request': 'channels.handler.ViewConsumer'}",
            "R = {'http.request': 'channels_classic.handler.ViewConsumer'}",
        ),
        (
            "mock.patch('channels.tests.base.Client')",
            "mock.patch('channels_classic.test.base.Client')",
        ),
        (
            "mock.patch('channels.worker.time.sleep')",
            "mock.patch('channels_classic.worker.time.sleep')",
        ),
        ("mock.patch('channels.Group')", "mock.patch('channels_classic.Group')"),
        ("getLogger('django.channels')", "getLogger('channels_classic')"),
        ("js = ['channels/js/websocketbridge.js']", "js = ['channels_classic/websocketbridge.js']"),
        (
            "BACKEND = 'asgiref.inmemory.ChannelLayer'",
            "BACKEND = 'channels_classic.layers.memory.InMemoryChannelLayer'",
        ),
        ("INSTALLED_APPS = ['channels.delay']", "INSTALLED_APPS = ['channels_classic.delay']"),
        (
            "dependencies = [('channels.delay', '0001_initial')]",
            "dependencies = [('channels_classic_delay', '0001_initial')]",
        ),
        (
            "apps.get_model('channels.delay', 'DelayedMessage')",
            "apps.get_model('channels_classic_delay', 'DelayedMessage')",
        ),
        (
            "MIGRATION_MODULES = {'channels.delay': None}",
            "MIGRATION_MODULES = {'channels_classic_delay': None}",
        ),
    ],
)
def test_a_name_in_a_text_is_rewritten(before, expected):
    assert after(before) == expected
    assert after(expected) == expected


@pytest.mark.parametrize(
    "source",
    [
        "x = 'channels'",
        "x = {'channels': 1}['channels']",
        "apps = ['channels']",
        "setattr(x, 'channels', 1)",
        "mock.patch.object(x, 'channels')",
        "x = 'all channels of channels.Group'",
        "x = b'channels.routing.route'",
        "x = 'chat.channels.Group'",
        "x = 'channels.html'",
        '"""channels"""',
        "x = f'channels.{name}'",
        "INSTALLED_APPS = ['chat.channels', 'channels_extra']",
        "route('channels.created', consumer)",
    ],
)
def test_other_texts_are_untouched(source):
    rewritten = python.rewrite(source)
    assert (rewritten.data.decode(), rewritten.notes) == (source, [])


def test_a_text_that_may_be_a_name_is_left_to_a_person():
    rewritten = python.rewrite("Group('channels.message')")
    assert rewritten.data == b"Group('channels.message')"
    assert "may be a name" in rewritten.notes[0].text


def test_the_new_label_and_table_of_delay_are_told():
    rewritten = python.rewrite("INSTALLED_APPS = ['channels.delay']")
    assert [note.text for note in rewritten.notes] == [strings.DELAY_TEXT]


def test_loggers_of_daphne_are_told():
    rewritten = python.rewrite("L = {'loggers': {'daphne.server': {}}}")
    assert [note.text for note in rewritten.notes] == [strings.LOGGERS_TEXT]


def test_a_layer_with_nothing_in_its_place_is_told():
    rewritten = python.rewrite("x = {'BACKEND': 'channels.database_layer.DatabaseChannelLayer'}")
    assert (rewritten.changes, len(rewritten.notes)) == ([], 1)
