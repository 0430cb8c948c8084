"""A simulator of the certificate API of Huawei Cloud Elastic Load Balance (ELB, v3) and of the part of IAM it needs.

It was written from the API's documents alone, not from any client. What those leave open is a setting, or is said
to be this simulator's choice where it is made. Files, HTTP, faults and the CA are those of simkit. Modules, lowest
first:
  signing       SDK-HMAC-SHA256: what a client signs and a gateway checks
  wire          answers and errors in the shapes of ELB, its gateway and IAM
  settings      what can be changed while the simulator runs
  pem           certificates and keys in PEM: reading, judging, fitting together
  rules         what the members of a certificate object may be
  storage       the certificate objects and their files
  listeners     TLS listeners that serve what the objects hold
  identity      the user, its tokens and its access key, with the lock of the key
  journal       what was asked, how it was answered, and what it changed
  elb_api, iam_api   the operations, one route table each
  dispatch      authentication, routing, counting, faults
  control       the control port
"""
