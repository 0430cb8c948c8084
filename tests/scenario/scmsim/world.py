"""What the operations work on: settings, CA and requests, and the look-ups they share."""

from scmsim import ssl_api
from scmsim.wire import ApiError


class World:
    def __init__(self, settings, hierarchy, registry, login):
        self.settings = settings
        self.hierarchy = hierarchy
        self.registry = registry
        self.login = login

    def request_by_id(self, ssl_id, kind="ssl"):
        """The request, or the answer for unknown ids (which differs between releases of SCM)."""
        request = self.registry.find(ssl_id)
        if request is None or request.kind != kind or not self.registry.is_visible(request):
            if self.settings.unknown_id_status == 400:
                raise ApiError(-124, ssl_id)
            raise ApiError(-5101, ssl_id, status=404)
        return request

    def request_of(self, call):
        kind = "device" if "/api/device/" in call.path else "ssl"
        return self.request_by_id(int(call.groups["id"]), kind)

    def details_of(self, request, pattern="us"):
        return ssl_api.details_of(self, request, pattern)
