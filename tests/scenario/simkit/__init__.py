"""What the simulators of upstreams have in common.

Modules, lowest first:
  files       files that are either complete or absent
  wire        responses
  settings    what can be changed while a simulator runs
  journal     what was asked and what it changed
  ca          certificate hierarchy, issuing, download formats, the TLS identity of the front
  faults      misbehaviour ordered through the control port
  tokens      OAuth 2: the token endpoint and what it gave out
  dispatch    calls, their counts, and the faults ordered for them
  httpfront   sockets, TLS, HTTP/1.1
  control     the control port
  program     command line, state directory, start and end
  fixture     starts a simulator for a test
"""
