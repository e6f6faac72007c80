"""The addresses of the example site's pages."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", include("home.urls")),
    path("", include("accounts.urls")),
    path("echo/", include("echo.urls")),
    path("chat/", include("chat.urls")),
    path("", include("counter.urls")),
    path("dashboard/", include("dashboard.urls")),
    path("notifications/", include("notifications.urls")),
    path("headlines/", include("headlines.urls")),
    path("thumbnails/", include("thumbnailer.urls")),
    path("monitor/", include("channels_classic.monitor.urls")),
    path("admin/", admin.site.urls),
    # Browsers ask for it on pages that name no icon, as those of the admin
    path("favicon.ico", RedirectView.as_view(url=static("site/icon.svg"))),
    *staticfiles_urlpatterns(),  # in development only, and there under any server
]
