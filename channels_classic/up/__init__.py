"""A whole site on one machine: what runs, its files, and supervisord that runs it."""
