"""Signing in by a name: real users in real sessions, and for a demo no password."""
