"""The counters of a channel layer: what became of messages, each with its reason."""

from __future__ import annotations

import enum


class Counter(enum.StrEnum):
    """What is counted, by channel; the values are the keys of ``channel_statistics``.

    A process, whose name ends in ``!``, is counted for all of its connections together.
    """

    #: Sends that were accepted; a message that is tried again is not sent again.
    SENT = "messages_count"
    #: Sends that a full channel refused. A sender that tries again is counted again.
    FULL = "channel_full_count"
    #: Messages that nobody took before their expiry.
    EXPIRED = "expired_count"
    #: Messages dropped for newer ones, or because their channel stayed full for too long.
    DROPPED = "dropped_count"
    #: Entries that are no message of ours, or that no key of this layer can decrypt.
    UNDECODABLE = "undecodable_count"
    #: Messages in the hands of a worker that died, or lost with what Redis held.
    LOST = "lost_count"
    #: Sends that were under way when Redis went: they may have arrived or not.
    IN_DOUBT = "in_doubt_count"
    #: Messages of a dead worker that run again, and sockets of a dead server that were ended.
    RECOVERED = "recovered_count"
    #: Messages that will be tried again, after an error or because the consumer asked for it.
    RETRIED = "retried_count"
    #: Messages that went to the dead letters.
    DEAD = "dead_count"
    #: Messages to groups that a server did not get because it was too far behind.
    MISSED = "missed_count"
    #: Sockets and answers cut because their client did not read.
    OVERFLOW = "overflow_count"
    #: Sockets closed because of a message that was too large or in too many fragments.
    OVERSIZE = "oversize_count"
    #: Sockets closed because of too many messages, or pings, in a second.
    FLOOD = "flood_count"
    #: Sockets closed because of frames that break the protocol, or text that is not UTF-8.
    MALFORMED = "malformed_count"
    #: Handshakes of pages of other sites than ``allowed_origins`` lists.
    REFUSED_ORIGIN = "refused_origin_count"
    #: Requests that were refused unread: malformed, too large or too slow.
    BAD_REQUEST = "bad_request_count"
    #: Connections beyond ``max_connections`` or ``max_connections_per_address``.
    REFUSED = "refused_count"
    #: Messages that workers have dealt with, whatever came of it; counted once a second.
    COMPLETED = "completed_count"
    #: Consumers that ended with an error.
    FAILED = "failed_count"
    #: Messages that no route matched.
    UNROUTED = "unrouted_count"


def no_counts() -> dict[str, float]:
    """A zero for each counter."""
    return dict.fromkeys(map(str, Counter), 0)
