from django.db import models


class Score(models.Model):
    game = models.IntegerField()
    team = models.CharField(max_length=50)
    points = models.IntegerField(default=0)
