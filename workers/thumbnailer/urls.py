"""The addresses of the thumbnailer's pages."""

from __future__ import annotations

from django.urls import path

from thumbnailer import views

app_name = "thumbnailer"
urlpatterns = [
    path("", views.upload, name="upload"),
    path("<uuid:photo_id>/", views.photo, name="photo"),
    path("<uuid:photo_id>/<slug:size>.jpg", views.thumbnail, name="thumbnail"),
]
