"""Notifications of a user, in all their tabs at once, and kept until they are seen."""
