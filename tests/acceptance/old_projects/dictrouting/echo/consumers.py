import logging

from channels import Group
from channels.sessions import channel_session

logger = logging.getLogger(__name__)


@channel_session
def ws_connect(message):
    message.reply_channel.send({"accept": True})
    # Room name from the path, as in /chat/lobby/
    room = message.content['path'].strip("/").split("/")[-1]
    message.channel_session['room'] = room
    Group("chat-%s" % room).add(message.reply_channel)


@channel_session
def ws_receive(message):
    Group("chat-%s" % message.channel_session['room']).send({
        "text": "[%s] %s" % (message.channel_session['room'], message['text']),
    })


@channel_session
def ws_disconnect(message):
    Group("chat-%s" % message.channel_session['room']).discard(message.reply_channel)
