from django.db import models


class Result(models.Model):
    number = models.IntegerField(unique=True)
    square = models.IntegerField()
    tries = models.IntegerField(default=1)
