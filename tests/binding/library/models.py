"""Books, their authors and readers."""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F


class Author(models.Model):
    name = models.CharField(max_length=40, unique=True)

    def __str__(self) -> str:
        return self.name

    def shout(self) -> str:
        return self.name.upper()


class Tag(models.Model):
    word = models.CharField(max_length=20, primary_key=True)

    def __str__(self) -> str:
        return self.word


class Item(models.Model):
    """What a book is too: the table of a parent."""

    shelf = models.CharField(max_length=10, default="A")
    tags = models.ManyToManyField(Tag, blank=True, limit_choices_to={"word__lt": "x"})


class Book(Item):
    title = models.CharField(max_length=20)
    author = models.ForeignKey(Author, models.CASCADE, null=True, blank=True)
    readers = models.ManyToManyField(Author, blank=True, through="Loan", related_name="+")
    pages = models.PositiveSmallIntegerField(default=1)
    published = models.DateField(null=True, blank=True)
    price = models.DecimalField(max_digits=6, decimal_places=2, default=1)
    secret = models.CharField(max_length=20, blank=True)
    added = models.DateTimeField(auto_now_add=True)
    #: Who may see it.
    visible_to = models.CharField(max_length=20, default="all")

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        if self.title == self.shelf:
            raise ValidationError("A book is not a shelf.")


class Recording(models.Model):
    key = models.AutoField(primary_key=True)
    seconds = models.IntegerField(default=0)


class AudioBook(Item, Recording):
    """It has two parents."""


class Loan(models.Model):
    """A relation with more to it than two keys."""

    book = models.ForeignKey(Book, models.CASCADE)
    reader = models.ForeignKey(Author, models.CASCADE)
    days = models.IntegerField(default=7)


class Ticket(models.Model):
    """Its key is made here, and the database computes a field."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    room = models.CharField(max_length=10, default="A")
    number = models.IntegerField(default=0)
    double = models.GeneratedField(
        expression=F("number") * 2, output_field=models.IntegerField(), db_persist=True
    )
