"""The addresses of the counter, which are spread over the site."""

from __future__ import annotations

from django.urls import path

from counter import views

app_name = "counter"
urlpatterns = [
    path("counter/", views.page, name="page"),
    path("increment/", views.increment_page, name="increment"),
    path("api/counter/", views.read, name="read"),
    path("api/counter/increment/", views.increment, name="api-increment"),
]
