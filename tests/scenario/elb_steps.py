"""Takes the Huawei ELB deployer through a deployment step by step: performs its calls at the simulator, lets its waits
pass in no time, and dies wherever a test wants. Needs tests/steps/huawei_steps of the build."""

import http.client
import json
import os
import subprocess
import time
import urllib.parse

from harness.bridge import program

STEPPER = os.path.join(os.path.dirname(program()), "..", "tests", "steps", "huawei_steps")
MOST_STEPS = 400
# The replies that lack an HTTP answer, as the server's own transport would report them.
UNANSWERED = (OSError, http.client.HTTPException)


class Died(Exception):
    """The process was killed where the test wanted it."""


class Deployment:
    """One deployment. `before` is called with (number, step) before each call is sent; it may order faults, and
    raises Died to end the process there. `after` likewise, when the reply is there and nobody has seen it."""

    def __init__(self, elb, certificate, *, login="aksk", before=None, after=None, timeout=10, **settings):
        self.elb = elb
        self.login = login
        self.before = before or (lambda number, step: None)
        self.after = after or (lambda number, step: None)
        self.timeout = timeout
        self.now_ms = int(time.time() * 1000)
        self.begun_ms = self.now_ms
        self.saved, self.intent = {}, False
        self.calls, self.steps, self.target = [], [], settings.get("target")
        keys = {"iam": True} if login == "token" else {
            "access_key_id": elb.ready["access_key"], "access_key_secret": elb.secret_key}
        self.description = {"url": elb.ready["url"], "project_id": elb.ready["project_id"], "created_ms": self.now_ms,
                            "chain": certificate.chain, "names": certificate.names,
                            "tag": "acmebridge/" + certificate.names[0][:40], **keys, **settings}
        self.process = None
        self.connection = None

    # ---- the process ----

    def start(self):
        self.process = subprocess.Popen([STEPPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.say(self.description)

    def say(self, value):
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def end(self):
        self.hang_up()
        self.process.kill()
        self.process.communicate()

    def step(self, event, state):
        self.say({**event, "now_ms": self.now_ms, "state": state})
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the stepper gave up: {self.process.communicate()[1]} after {event}, {state}")
        step = json.loads(line)
        self.steps.append(step)
        if len(self.steps) > MOST_STEPS:
            raise AssertionError(f"no end after {MOST_STEPS} steps: {self.notes()[-10:]}")
        self.target = step.get("target") or self.target
        return step

    def notes(self):
        return [step["note"] for step in self.steps]

    # ---- the calls ----

    def exchange(self, step):
        """The event that a call leads to. A token is the transport's: it gets another one once when one is refused."""
        parts = urllib.parse.urlsplit(step["url"])
        headers = dict(step["headers"])
        for attempt in range(2):
            if self.login == "token":
                self.elb.token = self.elb.token or self.elb.new_token()
                headers["X-Auth-Token"] = self.elb.token
            if self.connection is None:
                self.connection = self.elb.connect()
            self.connection.timeout = self.timeout
            if self.connection.sock is not None:
                self.connection.sock.settimeout(self.timeout)
            try:
                target = parts.path + ("?" + parts.query if parts.query else "")
                self.connection.request(step["method"], target, step.get("body", "").encode("utf-8") or None, headers)
                reply = self.connection.getresponse()
                body = reply.read().decode("utf-8", "replace")
            except UNANSWERED as error:
                self.hang_up()
                # Waits pass in no time, but what the simulator does late it does before they are over.
                if isinstance(error, TimeoutError):
                    time.sleep(0.5)
                return {"event": "failed", "failure": repr(error), "reached": True}
            if reply.status != 401 or self.login != "token" or attempt == 1:
                break
            self.elb.token = None
        shift = self.now_ms - self.begun_ms
        kept = [[name.lower(), value] for name, value in reply.headers.items()
                if name.lower() != "date" or shift < 1000]
        return {"event": "reply", "status": reply.status, "headers": kept, "body": body}

    def hang_up(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def call(self, step):
        """As the job runner: what must not happen twice is announced before, a known outcome is kept."""
        if step["once"] or self.intent:
            self.saved, self.intent = step["state"], step["once"]
        number = len(self.calls)
        self.before(number, step)
        self.calls.append(step)
        event = self.exchange(step)
        self.after(number, step)
        return event

    # ---- the whole ----

    def entry(self):
        if self.intent:
            return {"event": "recover"}
        return {"event": "timer" if self.saved else "start"}

    def proceed(self):
        """From what is saved to the end, or until the process dies; returns the last step."""
        self.start()
        try:
            event, state = self.entry(), self.saved
            while True:
                step = self.step(event, state)
                state = step["state"]
                if step["kind"] == "call":
                    event = self.call(step)
                elif step["kind"] == "wait":
                    self.saved, self.intent = state, False
                    self.now_ms = max(step["wait_until_ms"], self.now_ms + 1)
                    event = {"event": "timer"}
                else:
                    return step
        finally:
            self.end()

    def run(self):
        """To the end, over as many deaths as it takes."""
        while True:
            try:
                return self.proceed()
            except Died:
                self.now_ms += 1000
