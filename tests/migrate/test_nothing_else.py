"""For any module: what is not a name of Channels 1 stays as it is, to the byte."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_classic.migrate import python

STATEMENTS = [
    "import channels",
    "import channels as c, os",
    "from channels import Group, Channel as C",
    "from channels.auth import (http_session_user,  # {text}\n{indent})",
    "channels.Group({literal}).send(channels, channels=1)",
    "x.channels = channels.routing . route",
    "def f(channels, g=channels.Group):\n{indent}    return channels.Group  # {text}",
    "INSTALLED_APPS = [{literal}, 'channels' ,'channels.routing']",
    "x = {literal}; y = lambda channels: channels.Group",
    "del x\n\n{indent}# {text}",
    "for channels in channels: pass",
    "x = {{ 'channels' : [channels for channels in {literal}] }}",
]
words = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12).filter(
    lambda text: "channels" not in text and not text.endswith("\\")
)
lines = st.lists(st.tuples(st.sampled_from(STATEMENTS), words), min_size=1, max_size=8)


def test_what_libcst_would_change_is_refused():
    """It loses the end of a comment that ends the file with a backslash."""
    with pytest.raises(ValueError, match="does not keep its formatting"):
        python.rewrite("import channels  # \\\n")


@given(lines, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "    ", "\t"]))
@settings(max_examples=60, deadline=None)
def test_putting_the_old_name_back_gives_the_old_module(statements, newline, indent):
    body = [
        indent + statement.format(literal=repr(text), text=text, indent=indent)
        for statement, text in statements
    ]
    source = "\n".join([*(["if True:"] if indent else []), *body, ""]).replace("\n", newline)
    new = python.rewrite(source).data.decode()
    assert (
        new.replace("channels_classic as channels", "channels").replace(
            "channels_classic", "channels"
        )
        == source
    )
    again = python.rewrite(new)
    assert again.data.decode() == new
