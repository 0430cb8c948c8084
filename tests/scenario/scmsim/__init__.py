"""A simulator of the Sectigo Certificate Manager (SCM) REST API with a real CA inside.

Modules, lowest first (what is not special to SCM comes from simkit):
  wire        errors with their catalogue texts, checks of JSON members, dates
  settings    what can be changed while the simulator runs
  csr         decoding and judging certificate signing requests
  lifecycle   requests, their way through the states, and their files
  enroll_api, ssl_api, device_api, account_api   the operations of the API, one route table each
  world       what the operations work on
  dispatch    authentication, routing, counting
  control     the control port
"""
