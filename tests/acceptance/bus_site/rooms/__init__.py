"""Rooms that announce who comes and who goes."""
