"""The socket of every page: what its user is notified of, and what has been dismissed.

Pages hear ``unseen`` when they connect, then ``shown`` and ``gone``; or ``signed_out`` alone. They
send ``{"dismiss": [id, …]}``.
"""

from __future__ import annotations

from accounts.sockets import let_in, said, tell, turn_away
from channels_classic.auth import channel_session_user, channel_session_user_from_http
from channels_classic.message import Message
from notifications.models import group_of, mark_seen

#: How many a page is shown when it connects, of those that nobody has seen: the newest ones.
SHOWN = 20
#: How many may be dismissed at once.
MOST = 1000


@channel_session_user_from_http
def connect(message: Message) -> None:
    """Join the group of the user, then hear what is unseen: in this order nothing is missed."""
    if not let_in(message):
        return
    group_of(message.user).add(message.reply_channel)
    unseen = message.user.notifications.filter(seen=None)[:SHOWN]
    tell(message, unseen=[notification.state() for notification in reversed(unseen)])


@channel_session_user
def receive(message: Message) -> None:
    """Dismiss what the user has dismissed in one of the tabs."""
    if message.user.is_anonymous:
        turn_away(message)
        return
    numbers = _numbers(message)
    if numbers:
        mark_seen(message.user, numbers)


def _numbers(message: Message) -> list[int]:
    """What is to be dismissed, as far as it can be the number of a notification."""
    numbers = said(message).get("dismiss")
    if not isinstance(numbers, list):
        return []
    return [each for each in numbers[:MOST] if type(each) is int and 0 < each < 2**63]
