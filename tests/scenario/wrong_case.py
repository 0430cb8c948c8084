"""What the tests of wrong requests share: two accounts at one server."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.acme import Client  # noqa: E402 (found through the line above)
from harness.case import ServerCase  # noqa: E402

UNKNOWN_ID = "01900000-0000-7000-8000-000000000000"


class WrongInput(ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.acme = Client(cls.bridge)
        cls.addClassCleanup(cls.acme.close)
        cls.acme.register(contact=["mailto:admin@corp.example"])
        cls.stranger = Client(cls.bridge)
        cls.addClassCleanup(cls.stranger.close)
        cls.stranger.register()

    def new_order(self, payload):
        return self.acme.post(self.acme.directory["newOrder"], payload)

    def identifiers(self, *items):
        return self.new_order({"identifiers": [{"type": kind, "value": value} for kind, value in items]})
