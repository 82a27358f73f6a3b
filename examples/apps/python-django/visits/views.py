from django.http import HttpResponse

from .models import Visit


def home(request):
    Visit.objects.create()
    return HttpResponse(f"Hello from Django, visit {Visit.objects.count()}")
