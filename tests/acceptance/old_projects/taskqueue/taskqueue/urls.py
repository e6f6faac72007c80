from django.urls import path

from tasks.views import submit

urlpatterns = [path('submit/<int:number>/', submit)]
