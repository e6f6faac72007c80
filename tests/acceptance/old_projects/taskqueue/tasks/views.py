from channels import Channel
from django.http import HttpResponse, JsonResponse

from .jobs import square
from .models import Result


def submit(request, number):
    if request.method == 'POST':
        if 'later' in request.GET:
            Channel('impatient', alias='tasks').send({'number': number})
        else:
            square.delay(number)
        return HttpResponse('submitted', status=202)
    result = Result.objects.filter(number=number).first()
    if result is None:
        return HttpResponse('not yet', status=404)
    return JsonResponse({'square': result.square, 'tries': result.tries})


submit.csrf_exempt = True
