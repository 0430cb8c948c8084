"""A crowd of waiting orders, made from one by copying its rows in the database of a server that is stopped.

Making thousands over ACME would take longer than what is to be seen with them. All copies follow the same request of
the upstream; everything else is their own.
"""

import sqlite3
import time
import uuid


def rows(database, table, column, value):
    found = database.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,))
    names = [name[0] for name in found.description]
    return [dict(zip(names, row)) for row in found]


def insert(database, table, row, **changes):
    row = {**row, **changes}
    database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                     tuple(row.values()))


def multiply(path, order_url, count, accounts=1, age_s=0, due_in_s=(0, 0)):
    """Adds `count` orders like the given one, of `accounts` new accounts, as old as age_s and to be asked about at
    moments spread evenly over due_in_s from now."""
    database = sqlite3.connect(path)
    order = rows(database, "orders", "id", order_url.rsplit("/", 1)[1])[0]
    issuance = rows(database, "issuances", "id", order["issuance_id"])[0]
    job = rows(database, "jobs", "subject_id", issuance["id"])[0]
    account = rows(database, "accounts", "id", order["account_id"])[0]
    links = rows(database, "order_authorizations", "order_id", order["id"])
    now_ms = int(time.time() * 1000)
    born = {"created_ms": now_ms - int(age_s * 1000)}
    owners = [str(uuid.uuid4()) for _ in range(accounts)]
    with database:
        for owner in owners:
            insert(database, "accounts", account, id=owner, thumbprint=owner)
        for number in range(count):
            owner = owners[number % accounts]
            order_id, issuance_id = str(uuid.uuid4()), str(uuid.uuid4())
            due_ms = now_ms + int((due_in_s[0] + (due_in_s[1] - due_in_s[0]) * number / count) * 1000)
            insert(database, "orders", order, id=order_id, account_id=owner, issuance_id=issuance_id, **born)
            for link in links:
                insert(database, "order_authorizations", link, order_id=order_id)
            insert(database, "issuances", issuance, id=issuance_id, account_id=owner, order_id=order_id, **born)
            insert(database, "jobs", job, id=str(uuid.uuid4()), subject_id=issuance_id, share=owner, owner=None,
                   run_at_ms=due_ms, due_ms=due_ms, **born)
    database.close()


def waiting(path, queue):
    """How many jobs of a queue are there."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    count = database.execute("SELECT COUNT(*) FROM jobs WHERE queue = ?", (queue,)).fetchone()[0]
    database.close()
    return count
