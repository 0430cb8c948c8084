"""What the scenario, conformance and interop suites share: the server under test, an ACME client, an http-01 responder.

bridge: starts and ends acmebridge. keys: account keys and CSRs. acme: a client. contract: what every response
must keep. raw: bytes on a connection. responder: the web server that validations ask. dns_server: the DNS server they
ask (dns_wire: its messages; dns_signer: DNSSEC). alpn: the TLS server of tls-alpn-01. authority: other CAs.
case: the base of the test classes.
"""

import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = os.path.dirname(TESTS)

# The SCM simulator and its fixture live with the scenarios.
SCENARIO = os.path.join(TESTS, "scenario")
if SCENARIO not in sys.path:
    sys.path.insert(0, SCENARIO)
