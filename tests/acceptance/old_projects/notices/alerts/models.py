from django.conf import settings
from django.db import models


class Alert(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)
    seen = models.BooleanField(default=False)
