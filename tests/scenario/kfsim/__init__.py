"""A simulator of the Keyfactor Command API with a real CA inside.

Modules, lowest first (what is not special to Keyfactor comes from simkit; CSRs are judged as in scmsim):
  settings         what can be changed while the simulator runs, kept over restarts
  wire             errors in their shapes, spelling of member names, checks of JSON members, dates
  query            the query language of the lists
  records          requests and certificates, how they are decided and issued, and their files
  shapes           certificates in the forms that Command answers with
  enroll_api, certificate_api, workflow_api   the operations of the API, one route table each
  journal          what was asked and what it did
  gateway          authentication, routing, counting, faults
  control          the control port
"""
