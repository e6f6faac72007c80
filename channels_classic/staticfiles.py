"""Static files through the bus, for development: StaticFilesHandler and StaticFilesConsumer."""

from __future__ import annotations

from urllib.parse import urlparse

from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandlerMixin
from django.contrib.staticfiles.views import serve
from django.core.handlers.exception import response_for_exception
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from channels_classic.handler import AsgiHandler, ViewConsumer, close_with


class StaticFilesHandler(StaticFilesHandlerMixin, AsgiHandler):
    """Serves what lies under ``STATIC_URL`` from the static files, the rest from the views.

    A file that is not there gives the technical page in DEBUG; else the views are asked. The
    constructor raises ``ImproperlyConfigured`` when the STATIC settings are not usable.
    """

    def __init__(self) -> None:
        super().__init__()
        self.base_url = urlparse(self.get_base_url())

    def load_middleware(self, is_async: bool = False) -> None:
        """The middleware of the site: unlike Django's, this handler runs the views too."""
        AsgiHandler.load_middleware(self, is_async)

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """The file, or what the views answer."""
        # STATIC_URL holds the script name or does not, depending on how the site sets both.
        for path in (request.path, request.path_info):
            if self._should_handle(path):
                response = self._file_response(request, path)
                if response is not None:
                    return close_with(response, request)
                break
        return AsgiHandler.get_response(self, request)

    def _file_response(self, request: HttpRequest, path: str) -> HttpResponseBase | None:
        try:
            return serve(request, self.file_path(path), insecure=True)
        except Http404 as error:
            return response_for_exception(request, error) if settings.DEBUG else None
        except Exception as error:
            return response_for_exception(request, error)


class StaticFilesConsumer(ViewConsumer):
    """The consumer of ``http.request`` for development: static files, then Django's views."""

    handler_class = StaticFilesHandler
