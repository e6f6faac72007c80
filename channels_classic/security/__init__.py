"""Decorators that keep other sites from consumers."""
