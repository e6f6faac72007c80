"""The history of the dashboard's tables."""
