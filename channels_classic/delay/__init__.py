"""The Django app that sends messages later, through the database: see ``manage.py rundelay``."""
