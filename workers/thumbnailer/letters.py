"""The dead letter of a photograph that was given up, and the way back from there."""

from __future__ import annotations

from channels_classic import DEFAULT_CHANNEL_LAYER, Channel, channel_layers
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.traffic import DeadLetter
from thumbnailer.models import Photo

CHANNEL = "thumbnailer"


def send(photo: Photo) -> None:
    """Have a worker make the sizes.

    At once, not when the view's own consumer ends: there the user can still be told. Raises
    ``ChannelFull`` or ``LayerUnavailable``.
    """
    Channel(CHANNEL).send({"photo": str(photo.pk)}, immediately=True)


def letter_of(photo: Photo) -> DeadLetter | None:
    """The last one about this photograph, if there is one."""
    found = None
    for letter in _layer().dead_letters(CHANNEL):
        if letter.content and letter.content.get("photo") == str(photo.pk):
            found = letter
    return found


def run_again(photo: Photo) -> None:
    """Put its dead letter back on the channel, or a new message where it has none any more.

    Raises as ``send``.
    """
    letter = letter_of(photo)
    if letter is None or not _layer().requeue_dead([letter]):
        send(photo)


def _layer() -> BaseChannelLayer:
    layer: BaseChannelLayer = channel_layers[DEFAULT_CHANNEL_LAYER].channel_layer
    return layer
