"""Settings that the control port may change while a simulator runs; dataclasses derive from this one."""

import dataclasses
import json
import os
import threading

from simkit.files import write_atomically


class Settings:
    choices = {}  # the values a setting may have, by its name
    lowest = {int: 0, float: 0.0}

    def __post_init__(self):
        self.lock = threading.Lock()
        self.path = None

    def keep_in(self, path):
        """Takes what the file has, if it exists, and writes every change to it."""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                self.update(json.load(stream))
        self.path = path

    def shaped(self, name, value):
        """A value as it is kept, for settings that may be given in several ways."""
        return value

    def check(self, checked):
        """ValueError for what does not fit beyond types, ranges and choices."""

    def checked(self, changes):
        """The values of a JSON object of changes; ValueError names the first member that does not fit."""
        known = {field.name for field in dataclasses.fields(self)}
        checked = {}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown setting {name}")
            present = getattr(self, name)
            if isinstance(present, float) and type(value) is int:
                value = float(value)
            value = self.shaped(name, value)
            if type(value) is not type(present):
                raise ValueError(f"{name}: expected {type(present).__name__}")
            if type(value) in self.lowest and not self.lowest[type(value)] <= value <= 10 ** 9:
                raise ValueError(f"{name}: out of range")
            if name in self.choices and value not in self.choices[name]:
                raise ValueError(f"{name}: expected one of " + ", ".join(map(str, self.choices[name])))
            checked[name] = value
        self.check(checked)
        return checked

    def update(self, changes):
        checked = self.checked(changes)
        with self.lock:
            for name, value in checked.items():
                setattr(self, name, value)
            if self.path is not None:
                write_atomically(self.path, json.dumps(self.as_json()).encode("utf-8"))

    def as_json(self):
        return dataclasses.asdict(self)
