"""What was asked and what it changed."""

import simkit.journal


class Journal(simkit.journal.Journal):
    def select(self, operation=None, enrollment=None, since=0, effects=False):
        """The entries of an operation, about an enrollment, after a number; all, or those that changed something."""
        return [entry for entry in self.after(since, operation)
                if enrollment in (None, entry["enrollment"]) and (entry["effect"] or not effects)]
