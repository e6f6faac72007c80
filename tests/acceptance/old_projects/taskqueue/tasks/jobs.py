from .models import Result
from .queue import task


@task
def square(number):
    Result.objects.create(number=number, square=number * number)
