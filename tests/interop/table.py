#!/usr/bin/python3
"""The table of docs/clients.md from what the last run of the client tests left; --write puts it there."""

import argparse
import json
import os
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(SOURCE, "build", "clients", "results")
PAGE = os.path.join(SOURCE, "docs", "clients.md")
BEGIN = "<!-- table: written by scripts/test --write-clients-table -->\n"
END = "<!-- end of the table -->\n"
CHALLENGES = ("http-01", "http-01, ip", "dns-01", "tls-alpn-01")
STEPS = ("issue", "renew", "revoke", "revoke by key")
WORDS = {"ok": "yes", "failed": "**no**", "none": "–"}


def read_results():
    """Ordered by client and challenge."""
    results = []
    for name in sorted(os.listdir(RESULTS)) if os.path.isdir(RESULTS) else ():
        with open(os.path.join(RESULTS, name), encoding="utf-8") as stream:
            results.append(json.load(stream))
    return sorted(results, key=lambda one: (one["client"].lower(), CHALLENGES.index(one["challenge"])))


def render(results):
    lines = ["| client | version | challenge | issues | renews | revokes by its account | revokes by the certificate's key |",
             "|---|---|---|---|---|---|---|"]
    for one in results:
        words = [WORDS[one["steps"][step]] for step in STEPS]
        lines.append("| " + " | ".join([one["client"], one["version"], one["challenge"], *words]) + " |")
    return "\n".join(lines) + "\n"


def read_page():
    """(text before the table, the table, text after it)"""
    with open(PAGE, encoding="utf-8") as stream:
        page = stream.read()
    before, begin, rest = page.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no markers for the table")
    return before + begin, table, end + after


def rows_of(table):
    """{(client, challenge): verdicts} of a table."""
    cells = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in table.splitlines()[2:]]
    return {(row[0], row[2]): row[3:] for row in cells}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write it into docs/clients.md")
    results = read_results()
    arguments = parser.parse_args()
    table = render(results)
    sys.stdout.write(table)
    if arguments.write:
        if not results:
            raise SystemExit("the client tests left no results")
        before, _, after = read_page()
        with open(PAGE, "w", encoding="utf-8") as stream:
            stream.write(before + table + after)


if __name__ == "__main__":
    main()
