#!/usr/bin/python3
"""The fault matrix: enrolling at Keyfactor Command, and reading what became of it, with each fault."""

import unittest

from keyfactor_matrix import NO_PERMISSION, OPEN, PASSING, Matrix, Row, error, plain


def enroll_rows():
    yield from (Row("enroll", fault) for fault in OPEN)
    for label in ("pending", "workflow", "external"):
        for kind in ("drop-after", "truncate", "after-status-503"):
            yield Row("enroll", plain(kind), label)
    for words, problem in (("certificate template not found", "serverInternal"),
                           ("The key size is not allowed.", "badPublicKey"), ("The CSR is not valid.", "badCSR"),
                           ("The SAN does not match the regular expression.", "rejectedIdentifier")):
        yield Row("enroll", error(400, words), status="invalid", problem=problem, enrollments=0)


def read_rows():
    """The enrollment was lost, or waits for somebody, and reading it goes wrong."""
    for fault in PASSING + (NO_PERMISSION,):
        yield Row("certificates", fault, before="drop-after")
        yield Row("certificates", fault, "pending")
        yield Row("request", fault, "pending")
        yield Row("instance", fault, "workflow")
        yield Row("download", fault, "external")
    yield Row("request", error(404, "The request was not found."), "pending")
    yield Row("instance", error(404, "Not found."), "workflow")
    yield Row("download", error(404, "The certificate was not found."), "pending")


class Faults(Matrix):
    def test_enroll(self):
        self.run_rows(list(enroll_rows()))

    def test_reading(self):
        self.run_rows(list(read_rows()))


if __name__ == "__main__":
    unittest.main()
