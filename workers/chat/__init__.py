"""Rooms to talk in: who is there, what was said, and nothing missed by whoever was away."""
