"""A simulator of the Sectigo Certificate Manager (SCM) REST API with a real CA inside.

Modules, lowest first:
  files       files that are either complete or absent
  wire        responses, errors with their catalogue texts, checks of JSON members, dates
  settings    what can be changed while the simulator runs
  ca          certificate hierarchy, issuing, download formats, the TLS identity of the front
  csr         decoding and judging certificate signing requests
  lifecycle   requests, their way through the states, and their files
  faults      misbehaviour ordered through the control port
  tokens      OAuth 2: the token endpoint and what it gave out
  enroll_api, ssl_api, device_api, account_api   the operations of the API, one route table each
  world       what the operations work on
  dispatch    authentication, routing, counting, faults
  httpfront   sockets, TLS, HTTP/1.1
  control     the control port
"""
