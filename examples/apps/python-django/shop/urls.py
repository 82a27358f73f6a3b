from django.urls import path
from visits.views import home

urlpatterns = [path("", home)]
