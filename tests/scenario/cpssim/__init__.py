"""A simulator of the Akamai Certificate Provisioning System (CPS) API version 2."""
