"""What was asked and what it changed, a line of JSON for each call. Never has secrets or signatures in it."""

import json
import os
import threading
import time


class Journal:
    def __init__(self, path):
        self.lock = threading.Lock()
        self.entries = []
        if os.path.exists(path):
            with open(path, "r+b") as stream:
                whole = stream.read()
                # kill -9 may have cut the last line short.
                stream.truncate(whole.rfind(b"\n") + 1)
            self.entries = [json.loads(line) for line in whole.split(b"\n")[:-1]]
        self.stream = open(path, "a", encoding="utf-8")  # pylint: disable=consider-using-with

    def add(self, entry):
        with self.lock:
            entry = {"n": len(self.entries) + 1, "time": time.time(), **entry}
            self.entries.append(entry)
            self.stream.write(json.dumps(entry) + "\n")
            self.stream.flush()

    def after(self, number, operation):
        """The entries behind a number, of one operation or (None) of all."""
        with self.lock:
            return [entry for entry in self.entries
                    if entry["n"] > number and operation in (None, entry["operation"])]
