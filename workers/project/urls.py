"""The addresses of the example site's pages."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

urlpatterns = [
    path("", include("home.urls")),
    path("", include("accounts.urls")),
    path("echo/", include("echo.urls")),
    path("chat/", include("chat.urls")),
    path("", include("counter.urls")),
    path("headlines/", include("headlines.urls")),
    path("thumbnails/", include("thumbnailer.urls")),
    path("admin/", admin.site.urls),
    *staticfiles_urlpatterns(),  # in development only, and there under any server
]
