"""The addresses of the thumbnailer's pages."""

from __future__ import annotations

from django.urls import path

from thumbnailer import views

app_name = "thumbnailer"
urlpatterns = [
    path("", views.upload, name="upload"),
    path("sample/", views.sample, name="sample"),
    path("<uuid:photo_id>/", views.photo, name="photo"),
    path("<uuid:photo_id>/letter/", views.letter, name="letter"),
    path("<uuid:photo_id>/again/", views.again, name="again"),
    path("<uuid:photo_id>/<slug:size>.jpg", views.thumbnail, name="thumbnail"),
]
