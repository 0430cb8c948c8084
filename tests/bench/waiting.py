#!/usr/bin/python3
"""What many waiting orders cost: thousands in `processing`, followed at the SCM simulator; started by scripts/bench.

One order is made over ACME and stays unapproved; the others are copies of its rows in the database (harness/crowd.py),
all overdue, as after an outage: the whole pace is used from the first second to the last. An hour of it is run in a
shorter time by raising the pace by --scale: as many calls are made and answered as in an hour, and their CPU time is
held against the hour. A minute at the pace itself, measured apart, shows what an hour costs besides.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [TESTS, os.path.join(TESTS, "scenario")]

from harness.acme import Client  # noqa: E402 (found through the line above)
from harness.bridge import Bridge  # noqa: E402
from harness.crowd import multiply, waiting  # noqa: E402
from harness.responder import Responder  # noqa: E402
from scm_fixture import Simulator  # noqa: E402

HOUR = 3600
TICKS = os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS = 5


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        fields = stream.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("VmRSS:"))


class Waiting:
    def __init__(self, options):
        self.options = options
        self.simulator = Simulator("--approval-delay", "864000")
        self.responder = Responder()
        self.bridge = Bridge(self.responder.port, self.simulator)
        self.bridge.settings["orders"] = {"finalize_hold_ms": 0}
        self.bridge.scm["poll_max_seconds"] = 900
        self.bridge.scm["burst"] = 5
        self.database = os.path.join(self.bridge.data, "acmebridge.db")

    def close(self):
        self.bridge.clean()
        self.responder.stop()
        self.simulator.clean()

    def calls(self):
        return sum(self.simulator.control("GET", "/stats")["received"].values())

    def start(self, per_minute):
        self.bridge.scm["requests_per_minute"] = per_minute
        self.bridge.start()
        self.pid = self.bridge.process.pid

    def make_one(self):
        client = Client(self.bridge, profile="scm")
        url, _, _ = client.begin(self.responder, "waits.scm.localhost")
        client.close()
        while not self.bridge.log_lines("SCM request", url.rsplit("/", 1)[1]):
            time.sleep(0.1)
        return url

    def observe(self, seconds):
        """What happens in so many seconds."""
        calls, cpu = self.calls(), cpu_seconds(self.pid)
        begin = time.monotonic()
        most, window = 0, []
        while time.monotonic() - begin < seconds:
            time.sleep(1)
            window.append((time.monotonic(), self.calls()))
            if len(window) > 10:
                window.pop(0)
            most = max(most, (window[-1][1] - window[0][1]) / (window[-1][0] - window[0][0])
                       if len(window) == 10 else 0)
        taken = time.monotonic() - begin
        return {"seconds": round(taken, 1), "calls": self.calls() - calls,
                "calls_per_minute": round((self.calls() - calls) / taken * 60, 1),
                "most_per_minute_in_9_s": round(most * 60, 1),
                "cpu_seconds": round(cpu_seconds(self.pid) - cpu, 2), "rss_kib": rss_kib(self.pid)}

    def nonces(self):
        """newNonce on a kept connection, in milliseconds: of three measurements the one with the middle p99."""
        time.sleep(SETTLE_SECONDS)
        return sorted((self.measure_nonces() for _ in range(3)), key=lambda found: found["p99_ms"])[1]

    def measure_nonces(self):
        with tempfile.NamedTemporaryFile(suffix=".json") as result:
            subprocess.run([self.options.bench, "--directory", f"{self.bridge.url}/directory",
                            "--ca", self.bridge.root, "--http-port", str(self.responder.port),
                            "--nonces", str(self.options.nonces), "--orders", "1", "--concurrency", "1",
                            "--json", result.name], check=True, stdout=subprocess.DEVNULL)
            found = json.load(result)["new_nonce"]
        return {"p50_ms": found["p50_ms"], "p99_ms": found["p99_ms"]}

    def measure(self):
        options = self.options
        self.start(options.pace)
        order_url = self.make_one()
        self.responder.stop()  # acme_bench answers on its port from now on
        result = {"orders": options.orders, "requests_per_minute": options.pace, "scale": options.scale,
                  "one": {"new_nonce": self.nonces(), "rss_kib": rss_kib(self.pid)}}
        self.bridge.stop()
        multiply(self.database, order_url, options.orders - 1, accounts=options.accounts, age_s=7200,
                 due_in_s=(-7000, -1))
        self.start(options.pace)
        result["crowd"] = {"new_nonce": self.nonces(), **self.observe(options.plain_seconds)}
        self.bridge.stop()
        self.start(options.pace * options.scale)
        result["hour"] = self.observe(HOUR / options.scale)
        result["hour"]["new_nonce"] = self.nonces()
        result["hour"]["rss_kib"] = rss_kib(self.pid)
        self.bridge.stop()
        result["still_waiting"] = waiting(self.database, "sectigo")
        return result


def judge(result):
    """The figures that matter, and what was wanted: (text, good)."""
    one, crowd, hour = result["one"], result["crowd"], result["hour"]
    cpu = crowd["cpu_seconds"] / crowd["seconds"] * 100
    cpu_hour = hour["cpu_seconds"] / HOUR * 100
    memory = max(crowd["rss_kib"], hour["rss_kib"]) - one["rss_kib"]
    per_order = memory * 1024 / result["orders"]
    pace = result["requests_per_minute"]
    scaled = pace * result["scale"]
    return (
        (f"calls per minute, unscaled: {crowd['calls_per_minute']} (at most {pace}, and a burst of 5 at the start)",
         crowd["calls"] <= pace * crowd["seconds"] / 60 + 5),
        (f"calls in the scaled hour: {hour['calls']} (at most {pace * 60}, and a burst); the busiest 9 s: "
         f"{hour['most_per_minute_in_9_s']} per minute of {scaled}",
         hour["calls"] <= scaled * hour["seconds"] / 60 + 5),
        (f"CPU, unscaled: {cpu:.2f} % of a core (wanted: under 1 %)", cpu < 1),
        (f"CPU of the scaled hour's calls: {hour['cpu_seconds']:.1f} s, {cpu_hour:.2f} % of a core in an hour",
         cpu_hour < 1),
        (f"RSS: {one['rss_kib'] / 1024:.1f} MiB with one order waiting, {crowd['rss_kib'] / 1024:.1f} and "
         f"{hour['rss_kib'] / 1024:.1f} MiB with {result['orders']}: {per_order:.0f} bytes per order (at most 2048)",
         per_order <= 2048),
        (f"newNonce p50 / p99: {one['new_nonce']['p50_ms']} / {one['new_nonce']['p99_ms']} ms with one, "
         f"{crowd['new_nonce']['p50_ms']} / {crowd['new_nonce']['p99_ms']} ms with all, "
         f"{hour['new_nonce']['p50_ms']} / {hour['new_nonce']['p99_ms']} ms at the scaled pace", True),
        (f"orders still waiting: {result['still_waiting']} of {result['orders']}",
         result["still_waiting"] == result["orders"]),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bench", required=True, metavar="FILE", help="acme_bench")
    parser.add_argument("--json", required=True, metavar="FILE")
    parser.add_argument("--orders", type=int, default=10000)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--pace", type=int, default=60, help="calls per minute")
    parser.add_argument("--scale", type=int, default=20, help="how much faster the hour passes")
    parser.add_argument("--plain-seconds", type=int, default=60, help="measured without scaling")
    parser.add_argument("--nonces", type=int, default=20000)
    bench = Waiting(parser.parse_args())
    try:
        result = bench.measure()
    finally:
        bench.close()
    with open(bench.options.json, "w", encoding="utf-8") as stream:
        json.dump(result, stream, indent=2)
        stream.write("\n")
    good = True
    for text, reached in judge(result):
        print(f"{'' if reached else 'NOT REACHED: '}{text}")
        good = good and reached
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
