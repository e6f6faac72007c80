from channels import Channel

REGISTRY = {}


class Task(object):
    """A function that is run by the workers of the 'tasks' layer."""

    def __init__(self, func):
        self.func = func
        self.name = '%s.%s' % (func.__module__, func.__name__)
        REGISTRY[self.name] = self

    def __call__(self, *args):
        return self.func(*args)

    def delay(self, *args):
        Channel('run-task', alias='tasks').send({'name': self.name, 'args': list(args)})


def task(func):
    return Task(func)
