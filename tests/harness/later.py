"""Turns a server's clock, as far as its jobs see it: what waits for minutes is due."""

import contextlib
import json
import os
import sqlite3

MOMENT_MS = 10 ** 12  # a larger number in a job's state is a moment


def look_later(bridge, minutes, deadline=False):
    """As if so much time had passed since the last thing a job did: what waits is due, patience is at its end. With
    `deadline` the issuances' own end has come. The server must not run."""
    with contextlib.closing(sqlite3.connect(os.path.join(bridge.data, "acmebridge.db"))) as database:
        for job, text in database.execute("SELECT id, state FROM jobs").fetchall():
            state = json.loads(text or "{}")
            for name, value in state.items():
                if isinstance(value, int) and value > MOMENT_MS:
                    state[name] = value - minutes * 60 * 1000
            database.execute("UPDATE jobs SET state = ?, run_at_ms = 1, due_ms = 1 WHERE id = ?",
                             (json.dumps(state), job))
        if deadline:
            database.execute("UPDATE issuances SET deadline_ms = created_ms + 1")
        database.commit()
