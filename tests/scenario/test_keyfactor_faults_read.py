#!/usr/bin/python3
"""The fault matrix: reading what became of an enrollment at Keyfactor Command, with each fault."""

import unittest

from keyfactor_matrix import NO_PERMISSION, PASSING, Matrix, Row, error


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
    def test_reading(self):
        self.run_rows(list(read_rows()))


if __name__ == "__main__":
    unittest.main()
