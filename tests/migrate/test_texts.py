"""Templates, requirements and command lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels_classic.migrate import commands, requirements, texts


def rewrite(name: str, text: str) -> texts.Rewritten:
    return texts.rewrite(Path(name), text.encode(), modern=False)


# Templates and scripts ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.html", "mail.txt", "a.js", "a.jinja2", "App.vue"])
def test_the_script_has_its_new_place(name):
    assert texts.is_text(Path(name))
    rewritten = rewrite(name, "<script src=\"{% static 'channels/js/websocketbridge.js' %}\">\r\n")
    assert (
        rewritten.data == b"<script src=\"{% static 'channels_classic/websocketbridge.js' %}\">\r\n"
    )
    assert rewritten.changes[0].line == 1


def test_bytes_that_are_no_text_stay():
    data = b"\xff\xfe channels/js/websocketbridge.js \xe9\r"
    new = texts.rewrite(Path("a.txt"), data, modern=False).data
    assert new == b"\xff\xfe channels_classic/websocketbridge.js \xe9\r"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.html", "\n'/chat/?session_key=' + key", texts.SESSION_KEY_TEXT),
        ("a.js", "\nimport { WebSocketBridge } from 'django-channels'", texts.NPM_TEXT),
        ("package.json", '{\n"django-channels": "^1.1.6"}', texts.NPM_TEXT),
        ("pyproject.toml", '\n"channels>=1.1,<2",', texts.PACKAGE_TEXT),
        ("Pipfile", '\nasgi-redis = "*"', texts.PACKAGE_TEXT),
        ("setup.cfg", "\n    daphne==1.3.0", texts.PACKAGE_TEXT),
    ],
)
def test_what_a_person_must_replace_is_told(name, text, said):
    assert texts.is_text(Path(name))
    rewritten = rewrite(name, text)
    assert rewritten.data == text.encode()
    assert [(note.line, note.text) for note in rewritten.notes] == [(2, said)]


def test_a_backend_outside_of_python_is_told():
    [note] = rewrite("settings.ini", "layer = asgi_redis.RedisChannelLayer").notes
    assert "channels_classic.layers.redis.RedisChannelLayer" in note.text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", 'channels = "^4.0"'),
        ("environment.yml", "channels:\n  - defaults"),
        ("audio.yml", "channels: 1"),
        ("tox.ini", "deps = my-channels==1.0"),
        ("notes.txt", "daphne shop.asgi:channel_layer"),
        ("x.sh", "echo daphne is fine"),
    ],
)
def test_others_are_not(name, text):
    rewritten = rewrite(name, text)
    assert (rewritten.data, rewritten.notes) == (text.encode(), [])


# Requirements -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["requirements.txt", "requirements-dev.txt", "dev_requirements.txt", "requirements/base.txt"],
)
def test_lists_of_requirements_are_known_by_their_names(name):
    assert requirements.is_requirements(Path(name))


@pytest.mark.parametrize("name", ["base.txt", "robots.txt", "constraints.txt"])
def test_other_texts_are_no_requirements(name):
    assert not requirements.is_requirements(Path(name))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("channels==1.1.8\n", "channels-classic\n"),
        ("Channels >= 1.0, < 2\n", "channels-classic\n"),
        ("channels", "channels-classic"),
        ("channels==1.1.8  # why\r\nrequests\r\n", "channels-classic  # why\r\nrequests\r\n"),
        ("a\nchannels==1.1.8\nasgi_redis==1.4.3\ndaphne\nb\n", "a\nchannels-classic\nb\n"),
        ("asgi_redis==1.4\na\nchannels~=1.1\n", "a\nchannels-classic\n"),
        ("asgi-redis[cryptography]\nchannels\n", "channels-classic[encryption]\n"),
        ("asgi.ipc==1.4.2\n", "channels-classic[local]\n"),
        ("daphne==1.4.2\n", "channels-classic\n"),
        ("channels<2; python_version < '4'\n", "channels-classic; python_version < '4'\n"),
        ("asgiref==1.1.2\na\n", "a\n"),
        ("asgiref\nasgiref==3.8\na\n", None),
        ("channels>=2\ndaphne==4.0\n", None),
        ("channels==4.2.0\n", None),
        ("channels\nchannels_redis\n", None),
        ("# channels==1.1.8\n", None),
        ("django-channels==1.1.8\nchannels-presence==1.0\n", None),
        ("-e git+https://github.com/django/channels@1.1.8#egg=channels\n", None),
        ("channels==1.1.8 \\\n    --hash=sha256:abc\n", None),
    ],
)
def test_requirements_of_channels_1_become_one_line(before, after):
    new = rewrite("requirements.txt", before).data.decode()
    assert new == (before if after is None else after)
    assert not rewrite("requirements.txt", new).changes


def test_requirements_of_a_project_on_channels_2_stay():
    assert not requirements.rewrite(b"channels\n", modern=True).changes


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("Django==1.11.4", "needs Django 5.2"),
        ("redis<3", "redis 8"),
        ("txredisapi==1.4", "txredisapi was needed"),
        ("channels==1.1.8", "pin the version"),
        ("channels==4.0", "Channels 2+"),
        ("channels==1.1.8 --hash=sha256:abc", "hashes"),
    ],
)
def test_what_else_must_change_in_them_is_told(line, text):
    [note] = rewrite("requirements.txt", f"a\n{line}\n").notes
    assert note.line == 2
    assert text in note.text


# Commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "web: daphne shop.asgi:channel_layer --port $PORT -b 0.0.0.0 -v2",
            "channels-classic server shop.asgi:channel_layer --port $PORT -b 0.0.0.0 -v2",
        ),
        (
            "ExecStart=/srv/venv/bin/daphne -u /run/x.sock shop.asgi:channel_layer",
            "/srv/venv/bin/channels-classic server -u /run/x.sock shop.asgi:channel_layer",
        ),
        (
            "daphne --websocket_timeout=9 --websocket_connect_timeout 8 a.b:c",
            "channels-classic server --websocket-timeout=9 --websocket-connect-timeout 8 a.b:c",
        ),
        (
            "daphne -e tcp:port=80:interface=1.2.3.4 a:b",
            "channels-classic server -p 80 -b 1.2.3.4 a:b",
        ),
        (
            'daphne -e "ssl:443:privateKey=k.pem:certKey=c.pem" a:b',
            "channels-classic server -p 443 --ssl-certfile c.pem --ssl-keyfile k.pem a:b",
        ),
        ("daphne --endpoint unix:/run/x.sock a:b", "channels-classic server -u /run/x.sock a:b"),
        ("daphne -e fd:fileno=3 a:b", "channels-classic server --fd 3 a:b"),
        (
            "daphne --ws-protocol graphql-ws chat -p 80 a:b",
            "channels-classic server --ws-protocol graphql-ws --ws-protocol chat -p 80 a:b",
        ),
        ("command: bash -c 'migrate && daphne -p 80 a:b'", "channels-classic server -p 80 a:b"),
        ("daphne a:b > log 2>&1", "channels-classic server a:b"),
        ("daphne ./shop/shop.asgi:layer -v2", "channels-classic server ./shop/shop.asgi:layer -v2"),
        (
            'CMD ["/bin/daphne", "-p", "80", "a:b"]',
            '["/bin/channels-classic", "server", "-p", "80", "a:b"]',
        ),
        (
            "daphne a:b --proxy-headers",
            f"channels-classic server a:b --proxy-headers PEERS; {commands.PROXY_TEXT}",
        ),
        ("pip install daphne", None),
        ("pkill daphne", None),
        ("daphne==1.4.2", None),
        ("import daphne", None),
    ],
)
def test_a_command_line_of_daphne_has_an_exact_replacement(line, expected):
    assert commands.replacement(line) == expected


@pytest.mark.parametrize("name", ["Procfile", "Dockerfile", "x.service", "x.conf", "x.yml", ".env"])
def test_command_lines_are_told_and_stay(name):
    text = "\nx: daphne a.b:c\n"
    assert texts.is_text(Path(name))
    rewritten = rewrite(name, text)
    assert rewritten.data.decode() == text
    [note] = rewritten.notes
    assert (note.line, note.text) == (2, "instead of daphne: channels-classic server a.b:c")
