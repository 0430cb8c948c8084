#!/usr/bin/python3
"""The fault matrix: renewing and revoking at Keyfactor Command, with each fault."""

import unittest

from keyfactor_matrix import NO_PERMISSION, OPEN, PASSING, SLOW, Matrix, Row, error, plain


def renew_rows():
    for fault in OPEN + (error(400, "The certificate can not be renewed."), error(404, "The certificate was not found.")):
        yield Row("renew", fault, "samekey", enrollments=2)
    # The new certificate has a key of Command's, so nobody can tell that it came of this order: it is left there.
    for kind in ("drop-after", "after-status-503"):
        yield Row("renew", plain(kind), "otherkey", enrollments=3)
    for fault in PASSING + (NO_PERMISSION, error(404, "The certificate was not found.")):
        yield Row("available-renewal", fault, "samekey", enrollments=2)


def revoke_rows():
    yield from (Row("revoke", fault, revoked=True) for fault in PASSING)
    yield Row("revoke", plain("delay-after", **SLOW), revoked=True)
    yield Row("revoke", error(400, "The RPC server is unavailable."), revoked=True)
    yield Row("revoke", error(400, "The reason is not valid."), revoked=False)
    # Somebody else did it, as Command says; that is believed.
    yield Row("revoke", error(400, "The certificate is already revoked."), revoked=False)


class Faults(Matrix):
    def test_renewals(self):
        self.run_rows(list(renew_rows()))

    def test_revocations(self):
        self.run_rows(list(revoke_rows()))


if __name__ == "__main__":
    unittest.main()
