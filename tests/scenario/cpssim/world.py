"""What the operations work on: settings, CA and enrollments, and the look-ups they share."""

from cpssim.wire import not_found


class World:
    def __init__(self, settings, hierarchy, store, progress):
        self.settings = settings
        self.hierarchy = hierarchy
        self.store = store
        self.progress = progress

    def visible(self, account):
        """The enrollments of an account, brought up to the present."""
        found = [enrollment for enrollment in self.store.enrollments.values() if enrollment.account == account]
        for enrollment in found:
            self.progress.advance(enrollment)
        return found

    def enrollment(self, call):
        """The enrollment of a call; another account's is as one that does not exist."""
        enrollment = self.store.enrollments.get(int(call.groups["enrollment"]))
        if enrollment is None or enrollment.account != call.account:
            raise not_found()
        self.progress.advance(enrollment)
        return enrollment

    def change(self, call):
        """(enrollment, change) of a call."""
        enrollment = self.enrollment(call)
        change = enrollment.change(int(call.groups["change"]))
        if change is None:
            raise not_found()
        return enrollment, change
