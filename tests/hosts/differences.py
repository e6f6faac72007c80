"""What a server is unable to do as a plain host, by fact: the tests fail there, and must."""

from __future__ import annotations

_LOSES_CODES = "it tells 1006 whatever the client says; our engine hypercorn tells the code"

DIFFERENCES: dict[str, dict[str, str]] = {
    "uvicorn": {},
    "hypercorn": {
        "test_consumers_hear_the_code_of_the_client": _LOSES_CODES,
        "test_a_close_frame_without_a_code_is_none": _LOSES_CODES,
    },
    "granian": {
        "test_a_close_frame_without_a_code_is_none": "it tells 1006, as if the connection broke",
    },
    "daphne": {
        "test_an_answer_that_is_cut_short_does_not_look_complete": (
            "it goes on to wait when the application has given up"
        ),
        "test_without_a_worker_the_handshake_is_503": "it refuses by a plain 403 alone",
        "test_an_empty_message_is_a_message[text]": "it drops empty messages",
        "test_an_empty_message_is_a_message[bytes]": "it drops empty messages",
        "test_a_client_gets_the_code_of_a_consumer[others]": (
            "its library closes with 1000 or 3000 to 4999; other codes become 1000"
        ),
    },
}
