"""The ``channels-classic`` command: parses options, then calls the functions that run."""

from __future__ import annotations

import click

from channels_classic import __version__
from channels_classic.cli_dead import dead
from channels_classic.cli_health import health
from channels_classic.cli_migrate import migrate
from channels_classic.cli_new import new
from channels_classic.cli_server import server
from channels_classic.cli_site import down, restart, status
from channels_classic.cli_stats import stats
from channels_classic.cli_top import top
from channels_classic.cli_up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="channels-classic")
def main() -> None:
    """A message bus for Django: HTTP and WebSockets become messages, workers answer them.

    \b
    A site runs as three kinds of process:
      channels-classic server project.asgi:channel_layer   takes the connections
      python manage.py runworker                           runs the consumers and views
      redis-server                                         carries the messages
    "channels-classic up" runs all of it on one machine. For development,
    "python manage.py runserver" is all of it in one process;
    "channels-classic new" makes a project to begin with.
    """


main.add_command(dead)
main.add_command(health)
main.add_command(migrate)
main.add_command(new)
main.add_command(server)
main.add_command(stats)
main.add_command(top)
for command in (up, down, status, restart):
    main.add_command(command)

if __name__ == "__main__":
    main()
