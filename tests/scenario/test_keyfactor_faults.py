#!/usr/bin/python3
"""The fault matrix: enrolling at Keyfactor Command with each fault."""

import unittest

from keyfactor_matrix import OPEN, Matrix, Row, error, plain


def enroll_rows():
    yield from (Row("enroll", fault) for fault in OPEN)
    for label in ("pending", "workflow", "external"):
        for kind in ("drop-after", "truncate", "after-status-503"):
            yield Row("enroll", plain(kind), label)
    for words, problem in (("certificate template not found", "serverInternal"),
                           ("The key size is not allowed.", "badPublicKey"), ("The CSR is not valid.", "badCSR"),
                           ("The SAN does not match the regular expression.", "rejectedIdentifier")):
        yield Row("enroll", error(400, words), status="invalid", problem=problem, enrollments=0)


class Faults(Matrix):
    def test_enroll(self):
        self.run_rows(list(enroll_rows()))


if __name__ == "__main__":
    unittest.main()
