"""What was asked and what it did. Never has keys, passwords or tokens in it."""

import elbsim.journal


class Journal(elbsim.journal.Journal):
    def select(self, operation=None, name=None, since=0):
        """The entries of an operation, about a name, after a number."""
        # pylint: disable=arguments-renamed
        with self.lock:
            return [entry for entry in self.entries if entry["n"] > since
                    and operation in (None, entry["operation"]) and (name is None or name in entry["names"])]
