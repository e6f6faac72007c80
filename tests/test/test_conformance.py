"""The suite finds every fault that a channel layer may have, and none in a layer without."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import unittest
from pathlib import Path

import pytest

import channels_classic
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.traffic import Envelope
from channels_classic.test.conformance import ConformanceTestCase
from tests.test import broken_layers as broken
from tests.test import broken_promises as promises
from tests.test.classic_layer import ClassicLayer


class TestClassicLayer(ConformanceTestCase):
    """A layer that has the classic verbs alone gets everything else from its base class."""

    capacity_limit = 5

    def setUp(self) -> None:
        self.expiry_delay = 0.25
        waits = "expir" in self._testMethodName
        lives = {"expiry": 0.2, "group_expiry": 0.3} if waits else {}
        self.channel_layer = ClassicLayer(capacity=5, **lives)
        super().setUp()


class OnClock(ConformanceTestCase):
    """For layers that are made for each check, with a clock that the check moves."""

    __test__ = False
    expiry_delay = 60.0
    capacity_limit = 5
    forever = "forever"
    dropping = "dropping"
    patience = 0.7
    layer_class = InMemoryChannelLayer

    def setUp(self) -> None:
        self.now = 1000.0
        self.channel_layer = self.layer_class(
            clock=lambda: self.now,
            expiry=60,
            group_expiry=20,
            capacity=5,
            channel_expiry={"forever.*": None},
            channel_overflow={"dropping.*": "drop_oldest"},
            later_limit=10,
            dead_limit=5,
        )
        super().setUp()

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def count_writes(self) -> int:
        return sum(len(entries) for entries in self.channel_layer.store.channels.values())

    def put_garbage(self, channel: str) -> bool:
        self.channel_layer.deliver([Envelope(channel, b"no message")])
        return True


def outcome(layer_class: type, checks: list[str]) -> dict[str, str]:
    """What the checks say of the layer: "ok", "failed" or "skipped"."""
    case = type("Case", (OnClock,), {"layer_class": layer_class})
    result = unittest.TestResult()
    unittest.TestSuite([case(name) for name in checks]).run(result)
    said = dict.fromkeys(checks, "ok")
    for test, _ in result.skipped:
        said[test._testMethodName] = "skipped"
    for test, _ in [*result.failures, *result.errors]:
        said[getattr(test, "test_case", test)._testMethodName] = "failed"
    return said


# Each fault, and the checks that must name it ---------------------------------------------

FAULTS = {
    broken.LosesEveryThird: [
        "test_send_recv",
        "test_each_message_is_received_by_one_of_several_readers",
    ],
    broken.DeliversTwice: [
        "test_send_recv",
        "test_each_message_is_received_by_one_of_several_readers",
    ],
    broken.TakesWithoutRemoving: [
        "test_each_message_is_received_by_one_of_several_readers",
        "test_an_exchange_shares_messages",
    ],
    broken.Reorders: [
        "test_single_reader_channels_keep_their_order",
        "test_members_get_what_is_sent_after_they_were_added",
    ],
    broken.StarvesQuietChannels: ["test_a_busy_channel_does_not_starve_a_quiet_one"],
    broken.IgnoresCapacity: [
        "test_capacity",
        "test_capacity_process",
        "test_what_is_refused_is_counted",
    ],
    broken.DropsWhatIsOverCapacity: ["test_capacity", "test_capacity_process"],
    broken.SharesCapacityOfProcess: ["test_capacity_process"],
    broken.CountsExpiredMessages: ["test_messages_that_have_expired_take_no_room"],
    broken.NeverExpires: ["test_message_expiry"],
    broken.AlwaysExpires: ["test_messages_that_never_expire"],
    broken.RaisesWhenMemberIsFull: ["test_capacity_group"],
    broken.LeaksMutations: ["test_message_alteration_after_send"],
    broken.SharesGroupContent: ["test_message_alteration_after_receive"],
    broken.MakesTextOfBytes: ["test_strings"],
    broken.KnowsNoSizeLimit: ["test_message_size"],
    broken.HidesWhereTheBadValueIs: ["test_values_that_cannot_be_carried_are_named"],
    broken.AcceptsAnyName: [
        "test_bad_names",
        "test_bad_group_names",
        "test_what_is_no_dict_is_refused",
    ],
    broken.MakesTheSameChannelTwice: ["test_new_channel_single_reader"],
    broken.IgnoresDiscard: ["test_groups", "test_groups_process", "test_group_channels"],
    broken.CountsMembersTwice: ["test_groups"],
    broken.CountsJoins: ["test_the_members_of_a_group_are_counted"],
    broken.LetsTheClosedJoin: ["test_a_connection_that_has_closed_joins_no_group"],
    broken.ForgetsConnections: ["test_group_expiry"],
    broken.RemembersPlainMembers: ["test_group_expiry"],
    broken.RenewsNoMembership: ["test_group_expiry_is_counted_from_the_last_add"],
    broken.LooksUpMembersTooLate: [
        "test_members_get_what_is_sent_after_they_were_added",
        "test_an_inbox_keeps_joins_and_messages_in_order",
    ],
    broken.WritesOncePerMember: ["test_a_send_to_a_group_costs_one_write_per_process"],
    broken.DropsGroupMessagesNowAndThen: ["test_members_get_everything_while_others_come_and_go"],
    broken.FlushesNoGroups: ["test_flush_groups"],
    broken.NeverBlocks: ["test_a_blocking_receive_waits"],
    broken.WaitsInCircles: ["test_a_blocking_receive_waits"],
    broken.WakesUpLate: ["test_a_blocking_receive_waits"],
    broken.TakesForThoseWhoHaveGone: ["test_async_receives_that_are_cancelled"],
    broken.TellsAllCallersOfRefusals: ["test_async_sends_are_refused_by_full_channels"],
    broken.DropsWhatIsGivenBack: ["test_messages_that_are_given_back"],
    broken.GivesBackAsNew: [
        "test_messages_that_are_given_back_keep_their_expiry",
        "test_messages_that_are_given_back_to_a_full_channel",
    ],
    broken.LosesSendsOfExchanges: ["test_an_exchange_carries_sends"],
    broken.TakesTooMuch: ["test_an_exchange_brings_messages"],
    broken.NamesWrongChannels: ["test_an_exchange_brings_messages"],
    broken.FreesNoRoom: ["test_an_inbox_frees_room_when_told_so"],
    broken.KeepsClosedConnections: ["test_an_inbox_forgets_connections"],
    broken.LeavesMembersBehind: ["test_an_inbox_that_is_closed_leaves_nothing"],
    broken.ReadsInTheWrongOrder: ["test_an_inbox_reads_in_order"],
    broken.LosesCancelledReads: ["test_an_inbox_waits_for_messages"],
    promises.GivesNoReceipts: [
        "test_a_lane_gets_its_receipt_with_an_exchange",
        "test_a_lane_gets_its_receipt_when_settled",
        "test_a_lane_waits_while_its_message_is_tried_again",
        "test_a_lane_goes_on_after_a_dead_letter",
    ],
    promises.GivesReceiptsWhenTaken: [
        "test_a_lane_gets_its_receipt_with_an_exchange",
        "test_a_message_that_is_given_back_keeps_its_lane",
        "test_a_lane_waits_while_its_message_is_tried_again",
    ],
    promises.GivesReceiptsToTheFirstOnly: ["test_each_lane_gets_its_receipt"],
    promises.GivesReceiptsBeforeReplies: ["test_a_lane_gets_its_receipt_when_settled"],
    promises.StopsAtForeignLanes: ["test_a_lane_that_leads_nowhere"],
    promises.ForgetsLanesOfWhatIsGivenBack: ["test_a_message_that_is_given_back_keeps_its_lane"],
    promises.KeepsLossesSecret: [
        "test_a_lane_hears_that_its_message_is_lost",
        "test_a_lane_hears_that_its_message_has_expired",
        "test_a_lane_hears_that_its_message_was_dropped",
        "test_a_lane_hears_that_its_message_cannot_be_read",
    ],
    promises.TakesLossesForSuccess: ["test_a_lane_hears_that_its_message_is_lost"],
    promises.KnowsNoDelay: [
        "test_a_delayed_message_comes_when_it_is_due",
        "test_a_delayed_reply_comes_when_it_is_due",
    ],
    promises.LosesWhatIsDelayed: [
        "test_a_delayed_message_comes_when_it_is_due",
        "test_a_delayed_reply_comes_when_it_is_due",
        "test_a_worker_that_waits_gets_a_delayed_message",
        "test_a_message_is_tried_again_unchanged",
    ],
    promises.MovesWhatIsDueTwice: ["test_a_delayed_message_comes_once"],
    promises.MovesWhatIsDueInOrderOfSends: [
        "test_delayed_messages_come_in_the_order_of_their_times"
    ],
    promises.CountsTheDelayAsAge: ["test_a_delayed_message_expires_from_when_it_is_due"],
    promises.DelaysWithoutLimit: ["test_delayed_messages_are_limited"],
    promises.TakesAnyDelay: ["test_delays_that_cannot_be_had_are_refused"],
    promises.ForgetsAttempts: ["test_attempts_are_carried", "test_a_dead_letter_says_what_and_why"],
    promises.SendsAgainWhatConsumersMade: ["test_a_message_is_tried_again_unchanged"],
    promises.DropsTheDead: [
        "test_a_dead_letter_says_what_and_why",
        "test_dead_letters_of_one_channel_and_of_all",
    ],
    promises.BuriesWithoutReasons: ["test_a_dead_letter_says_what_and_why"],
    promises.RequeuesACopy: ["test_dead_letters_are_requeued"],
    promises.RequeuesInVain: ["test_dead_letters_wait_for_a_full_channel"],
    promises.DeletesAll: ["test_dead_letters_are_deleted"],
    promises.BuriesWithoutLimit: ["test_dead_letters_are_limited"],
    promises.CountsSendsAlone: [
        "test_what_is_refused_is_counted",
        "test_what_a_full_member_of_a_group_misses_is_counted",
        "test_what_expires_is_counted",
        "test_what_was_lost_is_counted",
        "test_what_workers_and_servers_count_is_kept",
        "test_entries_that_are_passed_over_are_counted",
    ],
    promises.CountsEachChannelAlone: ["test_what_workers_and_servers_count_is_kept"],
    promises.DropsTheNewest: ["test_what_is_dropped_for_newer_messages_is_counted"],
    promises.LogsEveryLoss: ["test_what_is_dropped_for_newer_messages_is_counted"],
    promises.BelievesInWorkersForEver: ["test_a_worker_is_known_while_it_beats"],
    promises.AttachesUnderOneKey: ["test_what_is_attached_is_found_by_channel_and_key"],
    promises.MergesWhatIsAttached: ["test_what_is_attached_again_replaces_what_was"],
    promises.AttachesTheObjectItself: ["test_what_is_attached_comes_back_as_it_was"],
    promises.DetachesTheLastOnly: ["test_what_is_detached_is_gone"],
    promises.AttachesUnderAnyKey: ["test_what_cannot_be_attached_is_refused"],
    promises.AttachesToPlainChannelsForEver: ["test_attachments_to_a_plain_channel_expire"],
    promises.ForgetsAttachmentsAtTheClose: [
        "test_attachments_are_there_for_the_last_message_of_a_connection"
    ],
    promises.NeverForgetsAttachments: [
        "test_attachments_of_a_connection_end_some_minutes_after_its_close"
    ],
    promises.FlushesNoAttachments: ["test_a_flush_forgets_attachments"],
    promises.StopsAtGarbage: ["test_entries_that_are_no_messages_are_passed_over"],
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found_by_the_checks_that_name_it(fault, monkeypatch):
    monkeypatch.setattr("channels_classic.layers.memory.BLOCK", 0.5)  # for threads left behind
    assert outcome(fault, FAULTS[fault]) == dict.fromkeys(FAULTS[fault], "failed")


def test_the_same_checks_find_no_fault_in_a_layer_without():
    class Healthy(InMemoryChannelLayer):
        pass

    checks = sorted({check for checks in FAULTS.values() for check in checks})
    assert outcome(Healthy, checks) == dict.fromkeys(checks, "ok")


def test_every_broken_layer_is_tried():
    classes = {
        each
        for module in (broken, promises)
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, InMemoryChannelLayer)
        and each.__module__ == module.__name__
    }
    assert classes - {broken.Parts} == set(FAULTS)


# For those who have a layer of their own --------------------------------------------------


class Incomplete(ConformanceTestCase):
    __test__ = False


@pytest.mark.parametrize(
    "attributes", [{}, {"channel_layer": InMemoryChannelLayer()}, {"expiry_delay": 1.0}]
)
def test_an_attribute_that_is_missing_is_named(attributes):
    case = type("Case", (Incomplete,), attributes)("test_exceptions")
    with pytest.raises(ValueError, match="Case must set channel_layer, .* and expiry_delay"):
        case.setUp()


def test_checks_of_what_a_layer_does_not_have_are_left_out():
    class Small(InMemoryChannelLayer):
        extensions = ["flush"]  # noqa: RUF012
        receipts = later = attachments = False

    checks = ["test_groups", "test_async_verbs", "test_what_is_refused_is_counted"]
    checks += ["test_each_lane_gets_its_receipt", "test_attempts_are_carried"]
    checks += ["test_what_is_detached_is_gone"]
    assert set(outcome(Small, checks).values()) == {"skipped"}


def test_the_suite_itself_is_not_collected_and_its_subclasses_are():
    assert ConformanceTestCase.__test__ is False
    assert type("Case", (ConformanceTestCase,), {}).__test__ is True
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(ConformanceTestCase)
    result = unittest.TestResult()
    suite.run(result)
    assert (result.testsRun, result.failures, result.errors) == (0, [], [])
    [(_, reason)] = result.skipped
    assert "is for subclasses that set a channel layer" in reason


def test_all_checks_of_channels_1_are_there():
    names = """send_recv single_process_receive single_process_receive_error message_expiry
        new_channel_single_reader new_channel_failures strings groups groups_process group_channels
        flush flush_groups group_expiry capacity capacity_process capacity_group exceptions
        message_alteration_after_send"""
    assert {f"test_{name}" for name in names.split()} <= set(dir(ConformanceTestCase))


def test_somebody_else_runs_the_suite_without_pytest(tmp_path):
    (tmp_path / "pytest.py").write_text("raise ImportError('not installed')")
    (tmp_path / "test_mine.py").write_text(
        textwrap.dedent(
            """
            from channels_classic.layers.memory import InMemoryChannelLayer
            from channels_classic.test.conformance import ConformanceTestCase

            class MyLayer(InMemoryChannelLayer):
                pass

            class MyLayerTest(ConformanceTestCase):
                channel_layer = MyLayer(expiry=0.2, group_expiry=0.2, capacity=5)
                expiry_delay = 0.25
                capacity_limit = 5
            """
        )
    )
    command = [sys.executable, "-W", "error", "-m", "unittest", "-v", "test_mine"]
    root = Path(channels_classic.__file__).parent.parent
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "test_send_recv (test_mine.MyLayerTest.test_send_recv)" in done.stderr
    assert done.stderr.count(" ... ok") > 50


def test_each_check_says_what_it_promises():
    for name in dir(ConformanceTestCase):
        if name.startswith("test_"):
            assert getattr(ConformanceTestCase, name).__doc__, name
