from channels import route
from .consumers import impatient, run_task

task_routing = [
    route('run-task', run_task),
    route('impatient', impatient),
]
