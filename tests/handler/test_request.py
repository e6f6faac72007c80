"""AsgiRequest: an ``http.request`` message as Django's request."""

from __future__ import annotations

from typing import Any

import pytest

from channels_classic.exceptions import ResponseLater
from channels_classic.handler import AsgiRequest
from channels_classic.scope import http_scope
from tests.handler.site import REPLY, message, request

# The request line and META --------------------------------------------------------------------


def test_a_request_keeps_its_message_and_reply_channel():
    source = message()
    made = AsgiRequest(source)
    assert made.message is source
    assert made.reply_channel.name == REPLY


def test_the_method_is_upper_case():
    assert request(method="post").method == request(method="post").META["REQUEST_METHOD"] == "POST"


def test_without_a_root_path_the_whole_path_is_path_info():
    made = request(path="/page/")
    assert (made.path, made.path_info, made.script_name) == ("/page/", "/page/", "")
    assert (made.META["PATH_INFO"], made.META["SCRIPT_NAME"]) == ("/page/", "")


def test_a_root_path_is_stripped_from_path_info():
    made = request(path="/app/page/", root_path="/app")
    assert (made.path, made.path_info, made.script_name) == ("/app/page/", "/page/", "/app")
    assert (made.META["PATH_INFO"], made.META["SCRIPT_NAME"]) == ("/page/", "/app")


def test_a_root_path_is_stripped_only_at_a_path_boundary():
    """Weakness 19: ``/app`` was stripped from ``/apple``."""
    made = request(path="/apple/", root_path="/app")
    assert made.path_info == made.META["PATH_INFO"] == "/apple/"


def test_a_root_path_may_end_with_a_slash():
    assert request(path="/app/page/", root_path="/app/").path_info == "/page/"


def test_a_root_path_of_one_slash_strips_nothing():
    assert request(path="/page/", root_path="/").path_info == "/page/"


def test_the_root_path_itself_leaves_an_empty_path_info():
    assert request(path="/app", root_path="/app").path_info == ""


def test_a_root_path_of_none_is_an_empty_script_name():
    """Weakness 19: it was None in META, too."""
    assert request(root_path=None).META["SCRIPT_NAME"] == ""


def test_force_script_name_wins_over_the_root_path(settings):
    settings.FORCE_SCRIPT_NAME = "/forced"
    made = request(path="/forced/page/", root_path="/app")
    assert (made.script_name, made.path_info) == ("/forced", "/page/")


def test_a_path_of_bytes_is_decoded():
    assert request(path="/caf\xe9/".encode()).path == "/caf\xe9/"


def test_bad_utf8_in_a_path_of_bytes_is_replaced():
    assert request(path=b"/\xff/").path == "/\ufffd/"


def test_code_that_expects_wsgi_finds_its_keys():
    meta = request().META
    assert meta["wsgi.multithread"] is True
    assert meta["wsgi.multiprocess"] is True


def test_the_client_is_the_remote_address():
    meta = request(client=["10.0.0.1", 4321]).META
    assert (meta["REMOTE_ADDR"], meta["REMOTE_HOST"]) == ("10.0.0.1", "10.0.0.1")
    assert meta["REMOTE_PORT"] == 4321


def test_without_a_client_there_is_no_remote_address():
    assert "REMOTE_ADDR" not in request(client=None).META


def test_the_port_of_the_server_is_text():
    meta = request(server=["example.com", 8000]).META
    assert (meta["SERVER_NAME"], meta["SERVER_PORT"]) == ("example.com", "8000")


def test_without_a_server_its_name_is_unknown():
    meta = request(server=None).META
    assert (meta["SERVER_NAME"], meta["SERVER_PORT"]) == ("unknown", "0")


@pytest.mark.parametrize(("scheme", "secure"), [(None, False), ("http", False), ("https", True)])
def test_the_scheme_decides_whether_a_request_is_secure(scheme, secure):
    content = {} if scheme is None else {"scheme": scheme}
    assert request(**content).is_secure() is secure


@pytest.mark.parametrize("query_string", [b"a=1&a=2", "a=1&a=2"])
def test_the_query_string_is_bytes_or_text(query_string):
    made = request(query_string=query_string)
    assert made.META["QUERY_STRING"] == "a=1&a=2"
    assert made.GET.getlist("a") == ["1", "2"]


def test_the_query_string_may_be_absent():
    source = message()
    del source.content["query_string"]
    assert AsgiRequest(source).META["QUERY_STRING"] == ""


def test_a_query_string_that_is_not_utf8_cannot_be_decoded():
    with pytest.raises(UnicodeDecodeError):
        request(query_string=b"a=\xff")


def test_the_exception_for_long_polling_is_on_the_request():
    assert request().ResponseLater is ResponseLater


def test_the_scope_is_that_of_asgi():
    content = message(path="/page/", client=["10.0.0.1", 4321]).content
    assert http_scope(content) == {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/page/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ["10.0.0.1", 4321],
        "server": None,
    }


# Headers --------------------------------------------------------------------------------------


def headers(*pairs: tuple[bytes, bytes]) -> dict[str, Any]:
    return request(headers=list(pairs)).META


def test_a_header_is_in_meta_with_a_prefix():
    assert headers((b"x-one", b"1"))["HTTP_X_ONE"] == "1"


def test_content_type_and_length_have_no_prefix():
    meta = headers((b"content-type", b"text/plain"), (b"content-length", b"3"))
    assert (meta["CONTENT_TYPE"], meta["CONTENT_LENGTH"]) == ("text/plain", "3")
    assert "HTTP_CONTENT_TYPE" not in meta


def test_a_header_is_read_as_latin_1():
    assert headers((b"x-one", b"caf\xe9"))["HTTP_X_ONE"] == "caf\xe9"


def test_repeated_headers_are_joined_with_commas():
    assert headers((b"x-one", b"1"), (b"x-one", b"2"))["HTTP_X_ONE"] == "1,2"


def test_repeated_cookies_are_joined_so_that_all_are_read():
    made = request(headers=[(b"cookie", b"a=1"), (b"cookie", b"b=2; c=3")])
    assert made.META["HTTP_COOKIE"] == "a=1; b=2; c=3"
    assert made.COOKIES == {"a": "1", "b": "2", "c": "3"}


def test_a_header_name_with_an_underscore_cannot_pose_as_another():
    meta = headers((b"x_forwarded_for", b"1.2.3.4"), (b"x-real", b"yes"))
    assert "HTTP_X_FORWARDED_FOR" not in meta
    assert meta["HTTP_X_REAL"] == "yes"


def test_header_names_in_upper_case_are_taken():
    assert headers((b"Content-Type", b"text/plain"))["CONTENT_TYPE"] == "text/plain"


def test_headers_may_be_a_dict_as_in_old_drafts():
    made = request(headers={"content-type": b"text/plain", "x-one": b"1"})
    assert (made.content_type, made.META["HTTP_X_ONE"]) == ("text/plain", "1")


def test_headers_may_be_lists_after_a_trip_over_the_bus():
    assert request(headers=[[b"x-one", b"1"]]).headers["X-One"] == "1"


def test_the_content_type_has_parameters_and_an_encoding():
    made = request(headers=[(b"content-type", b"text/plain; charset=latin-1; x=y")])
    assert made.content_type == "text/plain"
    assert made.content_params == {"charset": "latin-1", "x": "y"}
    assert made.encoding == "latin-1"


def test_an_unknown_charset_is_ignored():
    assert request(headers=[(b"content-type", b"text/plain; charset=klingon")]).encoding is None


def test_without_a_content_type_there_are_no_parameters():
    made = request()
    assert (made.content_type, made.content_params) == ("", {})
