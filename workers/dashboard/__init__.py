"""A dashboard: what a program pushes by HTTP is drawn at once in every open browser."""
