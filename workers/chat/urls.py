"""The addresses of the rooms; each room's socket has the same as its page."""

from __future__ import annotations

from django.urls import path

from chat import views

app_name = "chat"
urlpatterns = [
    path("", views.rooms, name="rooms"),
    path("<str:slug>/", views.room, name="room"),
]
