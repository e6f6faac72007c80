from channels.tests import ChannelTestCase, Client

from .jobs import square
from .models import Result


class TaskTests(ChannelTestCase):

    test_channel_aliases = ['default', 'tasks']

    def test_a_task_runs(self):
        square.delay(7)
        message = self.get_next_message('run-task', alias='tasks', require=True)
        self.assertEqual(message.content, {'name': 'tasks.jobs.square', 'args': [7]})
        client = Client(alias='tasks')
        client.send_and_consume('run-task', message.content)
        self.assertEqual(Result.objects.get().square, 49)
