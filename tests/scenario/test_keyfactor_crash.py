#!/usr/bin/python3
"""kill -9 of the server in every step of orders, renewals and revocations at Keyfactor Command: nothing is lost, nothing
is enrolled, renewed or revoked twice."""

import time
import unittest

from keyfactor_matrix import Matrix, Row, plain

HELD_SECONDS = 12.0
KILLS = 8


def rows_of_all_steps():
    """Each call is held before or after its effect when the server is killed."""
    for kind in ("delay", "delay-after"):
        held = plain(kind, delay_s=HELD_SECONDS)
        for label in ("row", "pending", "workflow", "external"):
            yield Row("enroll", held, label)
        yield Row("certificates", held, before="drop-after")
        yield Row("certificates", held, "pending")
        yield Row("request", held, "pending")
        yield Row("request", held, "external")
        yield Row("instance", held, "workflow")
        yield Row("download", held, "pending")
        yield Row("download", held, "workflow")
        yield Row("available-renewal", held, "samekey", enrollments=2)
        yield Row("renew", held, "samekey", enrollments=2)
        yield Row("certificates", held, "revoke", revoked=True)
        yield Row("revoke", held, revoked=True)


class Crash(Matrix):
    def kill(self):
        self.bridge.kill()
        self.start_again()

    def test_every_step(self):
        def disturb():
            """Killed once all calls are held, and again when some of their answers have come to nobody."""
            deadline = time.monotonic() + HELD_SECONDS - 1
            while self.kf.control("GET", "/faults"):
                self.approve_all()
                self.assertLess(time.monotonic(), deadline, self.kf.control("GET", "/faults"))
                time.sleep(0.1)
            held = time.monotonic()
            self.kill()
            time.sleep(1)
            self.kill()
            # What was held back reaches Command before the clock is turned.
            time.sleep(max(0, held + HELD_SECONDS - time.monotonic()))

        self.run_rows(list(rows_of_all_steps()), call_seconds=60, disturb=disturb)

    def test_many_kills(self):
        """At any moment, while orders are on their way through everything there is."""
        rows = [Row("enroll", plain("delay", delay_s=0.2 * number), label)
                for number in range(8) for label in ("row", "pending", "workflow", "external")]

        def disturb():
            for number in range(KILLS):
                time.sleep(0.15 + 0.1 * number)
                self.approve_all()
                self.kill()

        self.run_rows(rows, call_seconds=60, disturb=disturb)


if __name__ == "__main__":
    unittest.main()
