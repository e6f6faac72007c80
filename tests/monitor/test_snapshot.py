"""The snapshot: all there is to see of a bus, as JSON can carry it."""

from __future__ import annotations

import json

from channels_classic.layers.counters import Counter
from channels_classic.monitor.snapshot import snapshot

SERVER = {"kind": "server", "pid": 1, "uptime": 5.0, "sockets": 2}


def test_an_empty_bus_has_nothing_to_show(layer):
    found = snapshot(layer)
    assert found.pop("time") > 0
    assert found == {
        "channels": [],
        "groups": {"total": 0, "largest": []},
        "servers": [],
        "workers": [],
        "dead": 0,
        "delayed": 0,
    }


def test_a_channel_is_shown_with_its_load_and_counters(layer):
    layer.send("work", {})
    layer.deliver([layer.prepare("work", {}, delay=60)])
    found = json.loads(json.dumps(snapshot(layer, ["idle"])))
    idle, work = found["channels"]
    assert (idle["name"], idle["waiting"], idle["next_due"]) == ("idle", 0, None)
    assert (work["name"], work["waiting"], work["delayed"], work["workers"]) == ("work", 1, 1, 0)
    assert work["counts"][Counter.SENT] == 2
    assert found["delayed"] == 1


def test_processes_are_shown_by_kind_the_oldest_first(layer):
    layer.ledger.report("a!", SERVER, ttl=60)
    layer.ledger.report("b!", {**SERVER, "uptime": 9.0}, ttl=60)
    layer.ledger.report("c", {"kind": "worker", "running": []}, ttl=60)
    layer.ledger.report("d", {"kind": "something else"}, ttl=60)
    found = snapshot(layer)
    assert [each["name"] for each in found["servers"]] == ["b!", "a!"]
    assert found["servers"][1] == {"name": "a!", "pid": 1, "uptime": 5.0, "sockets": 2}
    assert found["workers"] == [{"name": "c", "running": []}]


def test_members_of_a_group_on_several_servers_are_added_up(layer):
    layer.ledger.report("a!", {**SERVER, "largest": {"room": 3, "hall": 1}}, ttl=60)
    layer.ledger.report("b!", {**SERVER, "largest": {"room": 4}}, ttl=60)
    largest = snapshot(layer)["groups"]["largest"]
    assert largest == [{"name": "room", "members": 7}, {"name": "hall", "members": 1}]
    assert "largest" not in snapshot(layer)["servers"][0]


def test_reports_of_strangers_harm_nobody(layer):
    for number, largest in enumerate([7, ["room"], {"room": "many"}, None]):
        layer.ledger.report(f"{number}!", {"kind": "server", "largest": largest}, ttl=60)
    layer.ledger.report("x!", {**SERVER, "uptime": "long", "largest": {"room": 2}}, ttl=60)
    assert snapshot(layer)["groups"]["largest"][0] == {"name": "room", "members": 2}
