"""The fields of a model that a binding shows, and their values in a form that JSON can carry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Model
from django.utils.encoding import is_protected_type

ALL = "__all__"

Names = Iterable[str] | str | None
#: A field of Django's; its stubs know less of them than is used here.
AnyField = Any


def check_names(names: Names, model: type[Model], *, where: str) -> None:
    """Raise ``ValueError`` when ``names`` are not fields of ``model``: a typo must hide nothing."""
    if names is None or names == ALL:
        return
    if isinstance(names, str):
        raise ValueError(f'{where} is a list of field names or "{ALL}", not {names!r}')
    known = {"pk", ALL}
    for field in model._meta.get_fields():
        known |= {field.name, getattr(field, "attname", field.name)}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"{where} names what {model._meta.label} has not: {', '.join(unknown)}")


def chosen(model: type[Model], fields: Names, exclude: Names) -> list[AnyField]:
    """Those of ``fields``, or all, less those of ``exclude``; the fields of parent tables too.

    Never the primary key, which goes beside the data and has ``serialize`` off, nor a link to a
    parent table, nor relations through a model of the project's own, whose rows are more than keys.
    """
    options: Any = model._meta
    columns = [
        field for field in options.concrete_fields if field.serialize and not _is_parent_link(field)
    ]
    relations = [
        field
        for field in options.many_to_many
        if field.serialize and field.remote_field.through._meta.auto_created
    ]
    return [field for field in (*columns, *relations) if is_among(field, fields, exclude)]


def is_among(field: AnyField, fields: Names, exclude: Names) -> bool:
    """Whether ``field`` is one of ``fields``, or of all, and not one of ``exclude``."""
    included = fields is None or _names(fields, field)
    return included and not (exclude is not None and _names(exclude, field))


def _names(names: Iterable[str] | str, field: AnyField) -> bool:
    return ALL in names or field.name in names or field.attname in names


def _is_parent_link(field: AnyField) -> bool:
    """Whether it is the one to one relation that inheritance has made."""
    return bool(getattr(field.remote_field, "parent_link", False))


def value_of(field: AnyField, instance: Model) -> Any:
    """The value of ``field``: of a relation the key, or the sorted list of keys, of the others."""
    if field.many_to_many:
        related = getattr(instance, field.name).order_by("pk").values_list("pk", flat=True)
        return list(related)
    value = field.value_from_object(instance)
    return value if is_protected_type(value) else field.value_to_string(instance)
