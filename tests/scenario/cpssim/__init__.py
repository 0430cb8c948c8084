"""A simulator of the Akamai Certificate Provisioning System (CPS) API version 2, with CAs inside.

It was written from the API documents only. What they leave open is a setting, or is decided here as strictly as it can
be: a status for a stale timestamp, the type of a 409, unknown query parameters (400), what becomes of a denied change.

Modules, lowest first (what is not special to CPS comes from simkit):
  wire            answers, problem documents, vendor media types, dates
  edgegrid        making and checking EdgeGrid signatures
  settings        what can be changed while the simulator runs
  accounts        API clients, their grants and accounts, the .edgerc file
  keys            keys and requests of CPS, judging of uploaded certificates
  store           enrollments with changes and deployments, and their files
  dns_query, dv   domain validation
  progress        the way of a change through its phases
  documents       enrollment documents: what is refused, what an update changes, how one is shown
  enrollment_api, change_api   the operations of the API, one route table each
  world           what the operations work on
  journal         what was asked and what it changed
  dispatch        authentication, pace, routing, counting
  front           the HTTPS server with the simulated clock
  control         the control port

cps_simulator.py runs it: --state-dir DIR [--listen A:P] [--control A:P] [--set NAME=VALUE ...] [--verbose].
DIR/ready.json has: url, host, port, control_url, control_port, tls_ca_file, root_file (of the CAs inside), edgerc_file,
sections, accounts {own, other}, switch_key, pid.
Sections of the .edgerc file: default (may do all), other-account (the same client with an account_key), read-only,
no-grant, wrong-secret. All of DIR is kept over restarts and kill -9: enrollments, keys, journal, settings, logins.
Counters, faults and used nonces are not.

The control port speaks plain HTTP and JSON:

GET /stats                      received, answered, faults by operation; changes: {enrollment: {client, cps, foreign}}
GET|POST /settings              see settings.py for the names; kept over restarts
GET|POST|DELETE /faults         as in simkit: {operation, fault, times, name, delay_s, status, error_code, description,
                                retry_after_s}. Faults: drop-before, drop-after, delay, delay-after, status-503,
                                status-503-html, after-status-502, error (a problem document with error_code), html-200,
                                truncate, empty. `name` is the number of an enrollment or change, or a common name.
                                Operations: list read update deployments deployment change-history certificate-history
                                status cancel schedule reschedule csr upload challenges challenges-completed
                                pre-warnings pre-ack post-warnings post-ack management management-ack
GET /journal?operation=&enrollment=&since=&effects=true
                                every call: n, time, operation, method, path, query, client, account, enrollment,
                                change, accept, content_type, body, fault, processed, processed_status, status, wire,
                                error, effect (a list: "started 20001", "cancelled 20001", "updated",
                                "uploaded RSA to 20001", "acknowledged gate of 20001", "denied ...", "scheduled ..."), hash of a
                                change-management-ack; of an update: dropped and changed (paths of members)
POST /enrollments               makes one: kind (dv, ov, ev, third-party), cn, sans, account, change_management,
                                dual_stack, algorithms, deployed (has a certificate already), max_sans, members (laid
                                over the document), settings (of its own)
GET /enrollments[/ID]           document, names, changes, pending, started {client, cps, foreign}, production, staging,
                                history; no private keys
POST /enrollments/ID            members laid over the document, unchecked and without a change
POST /enrollments/ID/settings   the enrollment's own value of any setting but the gateway's; null takes it away
POST /enrollments/ID/changes    starts a change: origin (cps: an automatic renewal; foreign: of somebody else), type
                                (renewal, modify-san, modify-certificate, new-certificate), sans, held
GET /changes/C                  phase (see progress.py), type, action, origin, keys and certificates (their hashes),
                                domains, warnings, hash, deadline, acknowledged, error
POST /changes/C/VERB            hold, release          stops and continues the time of the change
                                finish                 the present step is over now
                                error {code, description}, cancel
                                vetted                 people have validated the organization
                                dv {domain, valid, error}   one domain, or all of them
                                warnings {pre_warnings, post_warnings}, validation {errors, warnings}
                                hash                   another validationResultHash for the same result
                                deadline {seconds}     the acknowledgement deadline, from now
"""
