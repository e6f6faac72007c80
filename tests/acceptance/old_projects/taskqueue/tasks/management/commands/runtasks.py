from channels.management.commands import runworker


class Command(runworker.Command):

    help = 'Runs the tasks.'

    def add_arguments(self, parser):
        super(Command, self).add_arguments(parser)
        parser.set_defaults(layer='tasks', threads=2)

    def handle(self, *args, **options):
        self.stdout.write('Tasks of the layer %s' % options['layer'])
        super(Command, self).handle(*args, **options)
