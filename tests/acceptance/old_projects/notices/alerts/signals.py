import json
import channels
from django.db.models.signals import post_save
from django.dispatch import receiver

from .models import Alert


@receiver(post_save, sender=Alert)
def push(sender, instance, created, **kwargs):
    if created:
        channels.Group('user-%d' % instance.user_id).send(
            {'text': json.dumps({'id': instance.pk, 'text': instance.text})}, immediately=True)
