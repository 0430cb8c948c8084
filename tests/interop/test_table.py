#!/usr/bin/python3
"""docs/clients.md lists the clients and challenge types that are tested, with the verdicts the tests insist on."""

import importlib
import os
import unittest

import matrix_case
import table

HERE = os.path.dirname(os.path.abspath(__file__))


def clients():
    """The classes of all clients."""
    for name in sorted(os.listdir(HERE)):
        if name.startswith("test_matrix_"):
            module = importlib.import_module(name.removesuffix(".py"))
            yield from (each for each in vars(module).values()
                        if isinstance(each, type) and issubclass(each, matrix_case.MatrixCase))


class Table(unittest.TestCase):
    def test_lists_what_is_tested(self):
        expected = {}
        for client in clients():
            for challenge in client.challenges + ((matrix_case.ADDRESS_ROW,) if client.addresses else ()):
                expected[client.title, challenge] = [
                    "yes", "yes", "yes" if client.revokes else "–", "yes" if client.revoke_by_key else "–"]
        self.assertEqual(table.rows_of(table.read_page()[1]), expected,
                         "docs/clients.md is old: scripts/test --clients --write-clients-table")


if __name__ == "__main__":
    unittest.main()
