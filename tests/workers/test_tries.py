"""The thumbnailer's tries, its dead letters and its samples, on the memory layer."""

from __future__ import annotations

import json
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from channels_classic import channel_layers
from channels_classic.exceptions import ChannelFull
from channels_classic.layers.traffic import Reasons
from channels_classic.message import Message
from channels_classic.policy import policy_of

ME = "test.reply.server!me"
REASONS = Reasons("DamagedImage: half of it is missing", worker="host-1-abc")


@pytest.fixture
def consumers(site) -> ModuleType:
    return import_module("thumbnailer.consumers")


@pytest.fixture
def photos(site) -> Any:
    return import_module("thumbnailer.models").Photo.objects


@pytest.fixture
def send(client, photos) -> Any:
    """Sends a sample as a visitor does; gives the photograph."""

    def send(sample: str) -> Any:
        assert client.post("/thumbnails/sample/", {"sample": sample}).status_code == 302
        photo = photos.first()
        photo.group.add(ME)
        return photo

    return send


def run(consumers: ModuleType, photo: Any, *, retries: int = 0, is_last: bool = False) -> None:
    content = {"photo": str(photo.pk), **({"__retries__": retries} if retries else {})}
    message = Message(content, "thumbnailer", channel_layers["default"])
    message.__doomed__ = is_last
    try:
        consumers.thumbnail(message)
    finally:
        photo.refresh_from_db()


def bury(layer: Any, photo: Any) -> None:
    """What its worker does with the message that waits for ``photo``, when it gives up."""
    [delivery] = (
        layer.receiver(["thumbnailer"]).exchange(done=[], sends=[], limit=1, timeout=0).deliveries
    )
    assert delivery.content == {"photo": str(photo.pk)}
    layer.bury(delivery, REASONS)


def last_told(layer: Any) -> dict[str, Any]:
    received = iter(lambda: layer.receive(["test.reply.server!"])[1], None)
    state: dict[str, Any] = json.loads(list(received)[-1]["text"])
    return state


# Tries --------------------------------------------------------------------------------------


def test_the_policy_is_that_of_the_settings(consumers, settings):
    policy = policy_of(consumers.thumbnail)
    assert policy.max_attempts == settings.THUMBNAILER_ATTEMPTS == 5
    assert [policy.delay(attempts) for attempts in (1, 2, 3, 4)] == [1, 2, 4, 8]


def test_a_damaged_photograph_waits_for_its_next_try_and_says_when_that_is(site, consumers, send):
    photo = send("damaged")
    with pytest.raises(import_module("thumbnailer.images").DamagedImage):
        run(consumers, photo, retries=2)
    state = last_told(site)
    assert (state["status"], state["attempt"], state["attempts"]) == ("paused", 3, 5)
    assert "damaged" in state["error"]
    assert 3 < state["wait"] <= 4


def test_after_its_last_try_it_has_failed(site, consumers, send):
    photo = send("damaged")
    with pytest.raises(import_module("thumbnailer.images").DamagedImage):
        run(consumers, photo, retries=4, is_last=True)
    state = last_told(site)
    assert (state["status"], state["attempt"], state["wait"]) == ("failed", 5, 0)
    assert "damaged" in state["error"]


def test_the_late_one_fails_until_its_file_is_there(site, consumers, send):
    photo = send("late")
    with pytest.raises(FileNotFoundError):
        run(consumers, photo)
    assert photo.status == "paused"
    for _ in range(2):  # a message may come twice
        consumers.late(Message({"photo": str(photo.pk)}, "thumbnailer.late", None))
    run(consumers, photo, retries=1)
    assert (photo.status, photo.error, photo.missing()) == ("ready", "", [])


def test_the_file_of_the_late_one_is_brought_between_the_second_and_the_third_try(site, send):
    send("late")
    assert site.receive(["thumbnailer.late"]) == (None, None)
    assert 1 < site.beat("host-1-abc", ["thumbnailer.late"], ttl=30).next_due < 3


def test_a_try_after_a_crash_makes_only_what_is_missing(site, consumers, send, monkeypatch):
    photo = send("good")
    make, made = consumers.make_thumbnail, []

    def crash_at_large(picture: Any, size: str) -> Any:
        made.append(size)
        if made == ["small", "medium", "large"]:
            raise MemoryError
        return make(picture, size)

    monkeypatch.setattr(consumers, "make_thumbnail", crash_at_large)
    with pytest.raises(MemoryError):
        run(consumers, photo)
    assert photo.state()["making"] == ""
    run(consumers, photo, retries=1)
    assert (photo.status, made) == ("ready", ["small", "medium", "large", "large"])


def test_each_change_is_counted_so_that_a_page_knows_the_later_of_two_states(site, photos, send):
    photo = send("good")
    other = photos.get(pk=photo.pk)  # as in the hands of a second worker
    photo.begin(1)
    other.make("small")
    states = [other.state()["changes"]]
    photo.end(photo.Status.FAILED, "No more.")
    states.append(photo.state()["changes"])
    assert (other.wait_again(), photo.wait_again()) == (True, False)
    states.append(photo.state()["changes"])
    assert states == [2, 3, 4]


# Dead letters -------------------------------------------------------------------------------


@pytest.fixture
def given_up(site, send, photos) -> Any:
    photo = send("damaged")
    bury(site, photo)
    photo.end(photo.Status.FAILED, "The picture is damaged.")
    return photo


def test_the_owner_sees_the_dead_letter(client, given_up):
    html = client.get(f"/thumbnails/{given_up.pk}/letter/").content.decode()
    assert REASONS.error in html
    assert REASONS.worker in html
    page = client.get(given_up.get_absolute_url()).content.decode()
    assert f'action="/thumbnails/{given_up.pk}/again/"' in page


def test_the_staff_is_led_from_the_letter_to_the_monitor(client, admin_client, given_up):
    path = f"/thumbnails/{given_up.pk}/letter/"
    assert 'href="/monitor/"' in admin_client.get(path).content.decode()
    assert 'href="/monitor/"' not in client.get(path).content.decode()


def test_others_see_neither_the_letter_nor_the_button(client, given_up):
    client.cookies.clear()
    assert client.get(f"/thumbnails/{given_up.pk}/letter/").status_code == 403
    assert client.post(f"/thumbnails/{given_up.pk}/again/").status_code == 403
    page = client.get(given_up.get_absolute_url()).content.decode()
    assert "/again/" not in page


def test_staff_may_try_again_what_others_have_sent(admin_client, site, given_up):
    assert admin_client.post(f"/thumbnails/{given_up.pk}/again/").status_code == 302
    assert site.receive(["thumbnailer"])[1] == {"photo": str(given_up.pk)}


def test_while_there_is_no_letter_the_answer_is_empty(client, send):
    photo = send("damaged")
    assert client.get(f"/thumbnails/{photo.pk}/letter/").status_code == 204


def test_trying_again_puts_the_letter_back_and_shows_that(client, site, given_up):
    response = client.post(f"/thumbnails/{given_up.pk}/again/")
    assert response["Location"] == given_up.get_absolute_url()
    assert list(site.dead_letters("thumbnailer")) == []
    assert site.receive(["thumbnailer"]) == ("thumbnailer", {"photo": str(given_up.pk)})
    assert last_told(site)["status"] == "waiting"


def test_a_letter_that_somebody_has_deleted_is_written_anew(client, site, given_up):
    site.delete_dead(list(site.dead_letters()))
    client.post(f"/thumbnails/{given_up.pk}/again/")
    assert site.receive(["thumbnailer"])[1] == {"photo": str(given_up.pk)}


def test_two_clicks_try_again_once(client, site, given_up):
    for _ in range(2):
        assert client.post(f"/thumbnails/{given_up.pk}/again/").status_code == 302
    assert site.receive(["thumbnailer"])[1] is not None
    assert site.receive(["thumbnailer"]) == (None, None)


def test_when_the_channel_is_full_it_has_failed_still_and_says_why(
    client, site, given_up, monkeypatch
):
    def full(*args: Any) -> None:
        raise ChannelFull

    monkeypatch.setattr(site, "requeue_dead", full)
    client.post(f"/thumbnails/{given_up.pk}/again/")
    given_up.refresh_from_db()
    assert (given_up.status, len(list(site.dead_letters()))) == ("failed", 1)
    assert "again in a minute" in last_told(site)["error"]


def test_a_letter_whose_worker_could_not_tell_marks_the_photograph(client, site, send):
    photo = send("damaged")
    photo.begin(1)
    bury(site, photo)  # as after three workers that died of it
    assert client.get(f"/thumbnails/{photo.pk}/letter/").status_code == 200
    assert last_told(site)["status"] == "failed"


# Samples and owners -------------------------------------------------------------------------


def test_an_unknown_sample_leads_back_to_the_form(client, photos):
    response = client.post("/thumbnails/sample/", {"sample": "none"})
    assert response["Location"] == "/thumbnails/"
    assert not photos.exists()


def test_a_session_remembers_so_many_photographs(client, send, monkeypatch):
    monkeypatch.setattr(import_module("thumbnailer.owners"), "KEPT", 2)
    first, *others = [send("late") for _ in range(3)]
    pages = {p: client.get(p.get_absolute_url()).content.decode() for p in (first, *others)}
    assert "/again/" not in pages[first]
    assert all("/again/" in pages[photo] for photo in others)
