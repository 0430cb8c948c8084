#!/usr/bin/python3
"""Changes a TXT record at the DNS server of the interop tests; every client's dns-01 hook is this program.

Each client calls its hook in a way of its own; the arguments tell which it is:
  add NAME TEXT | remove NAME TEXT             our own programs
  present FQDN TEXT | cleanup FQDN TEXT        lego's provider "exec"
  METHOD TYPE IDENTIFIER TOKEN TEXT            uacme (begin, done, failed)
  deploy_challenge NAME TOKEN TEXT ...         dehydrated (clean_challenge; its other hooks are not ours)
  certbot-auth | certbot-cleanup               certbot, with CERTBOT_DOMAIN and CERTBOT_VALIDATION
INTEROP_DNS_CONTROL is the URL of the harness. Exit code 1 also says to uacme: not with this challenge type.
"""

import os
import sys
import urllib.parse
import urllib.request

PREFIX = "_acme-challenge."


def read(arguments):
    """(what to do, record name, text), or None when there is nothing to do."""
    verb, rest = arguments[0], arguments[1:]
    if verb in ("add", "remove"):
        return verb, rest[0], rest[1]
    if verb in ("present", "cleanup"):
        return ("add" if verb == "present" else "remove"), rest[0], rest[1]
    if verb in ("begin", "done", "failed"):
        if rest[0] != "dns-01":
            sys.exit(1)
        return ("add" if verb == "begin" else "remove"), PREFIX + rest[1], rest[3]
    if verb in ("deploy_challenge", "clean_challenge"):
        return ("add" if verb == "deploy_challenge" else "remove"), PREFIX + rest[0], rest[2]
    if verb in ("certbot-auth", "certbot-cleanup"):
        return ("add" if verb == "certbot-auth" else "remove",
                PREFIX + os.environ["CERTBOT_DOMAIN"], os.environ["CERTBOT_VALIDATION"])
    return None


def main():
    change = read(sys.argv[1:])
    if change is None:
        return
    verb, name, text = change
    query = urllib.parse.urlencode({"name": name.rstrip(".").removeprefix("*."), "text": text})
    request = urllib.request.Request(f"{os.environ['INTEROP_DNS_CONTROL']}/{verb}?{query}", method="POST", data=b"")
    # Straight to loopback, whatever proxies the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10):
        pass


if __name__ == "__main__":
    main()
