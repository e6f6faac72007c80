import json

from channels import Group
from channels.auth import channel_session_user, http_session_user
from channels.auth import transfer_user
from channels.sessions import channel_session

from .models import Alert


@http_session_user
@channel_session
def connect(message):
    if not message.user.is_authenticated:
        message.reply_channel.send({'close': True})
        return
    transfer_user(message.http_session, message.channel_session)
    message.reply_channel.send({'accept': True})
    Group('user-%d' % message.user.pk).add(message.reply_channel)


@channel_session_user
def receive(message):
    pk = json.loads(message.content['text'])['seen']
    Alert.objects.filter(user=message.user, pk=pk).update(seen=True)
    left = Alert.objects.filter(user=message.user, seen=False).count()
    message.reply_channel.send({'text': json.dumps({'left': left})})


@channel_session_user
def disconnect(message):
    if message.user.is_authenticated:
        Group('user-%d' % message.user.pk).discard(message.reply_channel)
