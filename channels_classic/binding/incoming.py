"""What a client wants in the fields of an instance, checked before it is put there."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.db.models import Model

from channels_classic.binding.fields import AnyField

#: What the fields of Django raise for values of a kind that they never thought of.
_ODD_VALUE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

Errors = dict[str, list[str]]
Related = dict[str, list[Model]]


def put(instance: Model, data: dict[str, Any], fields: Collection[AnyField], *, using: str) -> None:
    """Set those ``fields`` of ``instance`` that ``data`` has, and save it.

    It is validated as by a model form: each field by itself, then ``full_clean`` with all that the
    client has no hand in left out. Raises ``ValueError`` that names each bad field, and then
    nothing is saved.
    """
    given = [field for field in fields if field.name in data]
    errors: Errors = {}
    related = _set(instance, data, given, errors, using)
    _validate(instance, fields if instance._state.adding else given, errors)
    if errors:
        told = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in errors.items())
        raise ValueError(f"not a valid {instance._meta.label}: {told}")
    with transaction.atomic(using=using):
        instance.save(using=using)
        for name, others in related.items():
            getattr(instance, name).set(others)


def _set(
    instance: Model, data: dict[str, Any], given: Iterable[AnyField], errors: Errors, using: str
) -> Related:
    """Returns the related objects, which can be set when ``instance`` is saved."""
    related: Related = {}
    for field in given:
        try:
            value = field.clean(data[field.name], instance)
            if field.many_to_many:
                related[field.name] = _others(field, value, using)
            else:
                setattr(instance, field.attname, value)
        except ValidationError as error:
            errors[field.name] = error.messages
        except _ODD_VALUE as error:
            errors[field.name] = [f"{type(error).__name__}: {error}"]
    return related


def _others(field: AnyField, keys: Any, using: str) -> list[Model]:
    if not isinstance(keys, list):
        raise ValidationError("This is a list of primary keys.")
    model = field.related_model
    wanted = {model._meta.pk.to_python(key) for key in keys}
    allowed = model._base_manager.using(using).complex_filter(field.get_limit_choices_to())
    found = {each.pk: each for each in allowed.filter(pk__in=wanted)}
    missing = sorted(str(key) for key in wanted - found.keys())
    if missing:
        raise ValidationError(f"There is no {model._meta.label} {', '.join(missing)}.")
    return list(found.values())


def _validate(instance: Model, checked: Iterable[AnyField], errors: Errors) -> None:
    """Adds to ``errors`` what is wrong with ``instance`` as far as the client can be blamed."""
    names = {field.name for field in checked} - errors.keys()
    if instance._state.adding:  # a key that the database does not make must not stay empty
        names |= {f.name for f in instance._meta.fields if f.primary_key}
    others = {field.name for field in instance._meta.fields} - names
    try:
        instance.full_clean(exclude=others)
    except ValidationError as error:
        for name, texts in error.message_dict.items():
            errors.setdefault("the whole" if name == NON_FIELD_ERRORS else name, texts)


def settable(field: AnyField, named: Collection[str]) -> bool:
    """Whether a client may set it; what is not editable only where it is ``named`` itself."""
    return not getattr(field, "generated", False) and (field.editable or field.name in named)
