"""What was asked and what it did."""

import simkit.journal


class Journal(simkit.journal.Journal):
    def select(self, operation=None, name=None, since=0):
        """The entries of an operation, about a name, after a number."""
        return [entry for entry in self.after(since, operation) if name is None or name in entry["names"]]
