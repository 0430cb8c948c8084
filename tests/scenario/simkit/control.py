"""The control port: plain HTTP and JSON for tests, to look inside and to order misbehaviour."""

import json

from simkit.httpfront import Handler, Server
from simkit.wire import json_response


def problem(status, text):
    return json_response({"error": text}, status)


def object_of(call):
    value = json.loads(call.raw_body or b"{}")
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")
    return value


def switches(call, settings, faults):
    """GET and POST /settings; GET, POST and DELETE /faults."""
    target = settings if call.path == "/settings" else faults
    if call.method == "POST" and call.path == "/settings":
        settings.update(object_of(call))
    elif call.method == "POST":
        faults.order(object_of(call))
    elif call.method == "DELETE" and call.path == "/faults":
        faults.clear()
    elif call.method != "GET":
        return problem(405, "wrong method")
    return json_response(target.as_json())


def control_server(address, control):
    class ControlHandler(Handler):
        def respond(self, call):
            return control.respond(call)

    return Server(address, ControlHandler)
