/* What is wrong with a file is said with its place, all at once, in the order of the file. */
#include "server/config.h"

#include "cmocka_all.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER   "server: { url: https://a.example, listen: 0.0.0.0:1 }\n"
#define ISSUERS  "issuers: [ { name: lab, type: local } ]\n"
#define PROFILES "profiles: [ { name: default, issuer: lab } ]\n"
#define REST     ISSUERS PROFILES
#define SCM                                                                                                  \
    "issuers:\n- { name: lab, type: local }\n- { name: s, type: scm, url: https://cm.example, "              \
    "customer_uri: c, "

#define SERVER_IS(keys)  "server: { url: https://a.example, listen: 0.0.0.0:1, " keys " }\n" REST
#define URL_IS(url)      "server: { listen: 0.0.0.0:1, url: " url " }\n" REST
#define LISTEN_IS(text)  "server: { url: https://a.example, listen: " text " }\n" REST
#define SCM_IS(keys)     SERVER SCM keys " }\n" PROFILES
#define PROFILE_IS(keys) SERVER ISSUERS "profiles: [ { name: default, issuer: lab, " keys " } ]\n"

/* Each mistake on a line of its own, without the file's name. */
static const struct {
    const char *text;
    const char *mistakes;
} files[] = {
    /* YAML itself */
    {"", "1:1: expected a mapping with server, issuers and profiles, found an empty file\n"},
    {"just text\n", "1:1: expected a mapping with server, issuers and profiles, found 'just text'\n"},
    {"- a\n", "1:1: expected a mapping with server, issuers and profiles, found a list\n"},
    {"server: [1, 2\nb: 3\n",
     "2:2: expected YAML, found a mistake: did not find expected ',' or ']' while parsing a flow sequence\n"},
    {"a: b\n\xc3\xa4x: \"\xff\"\n", "2:6: expected YAML, found a mistake: invalid leading UTF-8 octet\n"},
    {"server: &a {}\n",
     "1:9: expected a plain value, found an anchor (&) or a tag (!), which are not supported\n"},
    {"server: *a\n", "1:9: expected a value, found an alias (*), which is not supported\n"},
    {"server: !!str x\n",
     "1:9: expected a plain value, found an anchor (&) or a tag (!), which are not supported\n"},
    {SERVER REST "--- {}\n", "4:1: expected one document, found a second one\n"},
    {"[a]: b\n", "1:1: expected a name as key, found a list or a mapping\n"},
    {"a: \"x\\0y\"\n", "1:4: expected text, found a NUL character in it\n"},
    {"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n", "1:17: expected at most 16 levels, found a deeper one\n"},
    {SERVER REST "validation: {}\nvalidation: {}\n",
     "5:1: expected each key once, found 'validation' again (first in line 4)\n"},
    /* deployers */
    {SERVER REST "deployers: web\n", "4:12: expected a list of at most 64 deployers, found 'web'\n"},
    {SERVER REST "deployers: [ { name: web } ]\n",
     "4:14: expected the key 'type' (command or huawei-elb or cps), found none\n"},
    {SERVER REST "deployers: [ { name: web, type: command } ]\n",
     "4:14: expected the key 'command', found none\n"},
    {SERVER REST "deployers: [ { name: web, type: command, command: [sh, -c] } ]\n",
     "4:52: expected the absolute path of a program, found 'sh'\n"},
    {SERVER REST "deployers: [ { name: web, type: command, command: [/nonexistent/x] } ]\n",
     "4:52: expected a program that can be run, found '/nonexistent/x' (No such file or directory)\n"},
    {SERVER REST "deployers: [ { name: web, type: command, command: [/etc] } ]\n",
     "4:52: expected a program that can be run, found '/etc' (not a regular file)\n"},
    {SERVER REST "deployers: [ { name: web, type: command, command: [/bin/sh], environment: { A-B: 1 } } ]\n",
     "4:77: expected the name of a variable: letters, digits and _, no digit in front, found 'A-B'\n"},
    {SERVER REST "deployers: [ { name: web, type: command, command: [/bin/sh], max_concurrency: 65 } ]\n",
     "4:79: expected a whole number of programs from 1 to 64, found '65'\n"},
    {SERVER REST "deployers: [ { name: web, type: command, command: [/bin/sh], names: [a..b] } ]\n",
     "4:70: expected a DNS name or an address, found 'a..b' (a name has an empty label)\n"},
    {SERVER REST "deployers:\n- { name: web, type: command, command: [/bin/sh] }\n"
                 "- { name: web, type: command, command: [/bin/sh] }\n",
     "6:11: expected a name of its own for each deployer, found 'web' again\n"},
    {PROFILE_IS("deploy: [web]"), "3:52: expected the name of a deployer, found 'web'\n"},
    /* keys */
    {"server:\n",
     "1:1: expected the key 'issuers', found none\n1:1: expected the key 'profiles', found none\n"
     "1:8: expected the key 'url' (https://host[:port][/path], lower case, without a slash at the end), "
     "found "
     "none\n1:8: expected the key 'listen' (address:port such as 0.0.0.0:443 or [::]:443), found none\n"},
    {SERVER_IS("ulr: x"), "1:54: unknown key 'ulr', did you mean 'url'?\n"},
    {SERVER_IS("io_thread: 2"), "1:54: unknown key 'io_thread', did you mean 'io_threads'?\n"},
    {SERVER REST "xyzzy: 1\n",
     "4:1: unknown key 'xyzzy', expected one of: server, data_dir, store, validation, "
     "orders, accounts, blocked_keys_file, issuers, profiles, deployers, default_profile\n"},
    {SERVER REST "{password:hunter2}: 1\n", "4:1: expected a name as key, found a list or a mapping\n"},
    {SERVER REST "orders: {password:hunter2}\n",
     "4:10: unknown key 'password...', expected one of: order_lifetime_hours, authorization_lifetime_hours, "
     "adopt_window_hours, challenge_hold_ms, finalize_hold_ms, retry_after_quiet_seconds, "
     "retry_after_processing_seconds, "
     "max_identifiers, max_contacts, max_pending_authorizations, keep_days\n"},
    {SERVER REST "orders: 3\n", "4:9: expected a mapping, found '3'\n"},
    /* numbers, flags, texts, lists */
    {SERVER_IS("io_threads: many"), "1:66: expected a whole number of threads from 0 to 64, found 'many'\n"},
    {SERVER_IS("io_threads: -1"), "1:66: expected a whole number of threads from 0 to 64, found '-1'\n"},
    {SERVER_IS("io_threads: 65"), "1:66: expected a whole number of threads from 0 to 64, found '65'\n"},
    {SERVER_IS("io_threads: 010"), "1:66: expected a whole number of threads from 0 to 64, found '010'\n"},
    {SERVER_IS("io_threads: 1.0"), "1:66: expected a whole number of threads from 0 to 64, found '1.0'\n"},
    {SERVER_IS("io_threads: '2'"),
     "1:66: expected a whole number of threads from 0 to 64, found the text '2'\n"},
    {SERVER_IS("io_threads: [2]"), "1:66: expected a whole number of threads from 0 to 64, found a list\n"},
    {SERVER_IS("io_threads: 99999999999999999999"),
     "1:66: expected a whole number of threads from 0 to 64, found '99999999999999999999'\n"},
    {SERVER_IS("io_threads:"), "1:66: expected a whole number of threads from 0 to 64, found nothing\n"},
    {SERVER_IS("http_url: http://pki.example"),
     "1:54: expected http_url together with http_listen, found only http_url\n"},
    {SERVER_IS("http_listen: '0.0.0.0:80', http_url: https://pki.example"),
     "1:91: expected 'http://pki.example', found 'https://pki.example'\n"},
    {SERVER_IS("http_listen: '0.0.0.0:80', http_url: http://PKI.example:80/x/"),
     "1:91: expected 'http://pki.example/x', found 'http://PKI.example:80/x/'\n"},
    {SERVER_IS("http_listen: localhost:80"),
     "1:67: expected address:port such as 0.0.0.0:443 or [::]:443, found 'localhost:80'\n"},
    {SERVER_IS("website: ftp://x"),
     "1:63: expected a URL beginning with https:// or http://, found 'ftp://x'\n"},
    {SERVER_IS("website: {}"), "1:63: expected a URL beginning with https:// or http://, found a mapping\n"},
    {SERVER_IS("website: ''"), "1:63: expected text, found an empty one\n"},
    {SERVER_IS("website: \"https://x\\ny\""),
     "1:63: expected text on one line, found a line break or control character in it\n"},
    {SERVER_IS("website: \"https://${NO_SUCH_VARIABLE}\""),
     "1:63: expected the environment variable NO_SUCH_VARIABLE to be set, found it unset\n"},
    {SERVER_IS("website: \"https://${no-name}\""),
     "1:63: expected ${VARIABLE} (or $${ for a plain ${), found the text 'https://${no-name}'\n"},
    {PROFILE_IS("keys: { rsa: yes }"), "3:56: expected true or false, found 'yes'\n"},
    {PROFILE_IS("keys: { rsa: 'true' }"), "3:56: expected true or false, found the text 'true'\n"},
    {SERVER REST "validation: { resolvers: 192.0.2.1 }\n", "4:26: expected a list, found '192.0.2.1'\n"},
    /* the service's URL */
    {URL_IS("http://a.example"), "1:35: expected 'https://a.example', found 'http://a.example'\n"},
    {URL_IS("https://A.example/"), "1:35: expected 'https://a.example', found 'https://A.example/'\n"},
    {URL_IS("https://a.example:443/acme"),
     "1:35: expected 'https://a.example/acme', found 'https://a.example:443/acme'\n"},
    {URL_IS("\"https://a.example/acme?x#y\""),
     "1:35: expected 'https://a.example/acme', found 'https://a.example/acme?x#y'\n"},
    {URL_IS("https://me:secret@a.example"), "1:35: expected https://host[:port][/path], lower case, without "
                                            "a slash at the end, found a URL with a user "
                                            "name or password in it\n"},
    {URL_IS("a.example:14000"),
     "1:35: expected https://host[:port][/path], lower case, without a slash at the end, "
     "found 'a.example:14000'\n"},
    {URL_IS("https://a.example:0"),
     "1:35: expected https://host[:port][/path], lower case, without a slash at the "
     "end, found 'https://a.example:0'\n"},
    {URL_IS("https://a.example:65536"),
     "1:35: expected https://host[:port][/path], lower case, without a slash at "
     "the end, found 'https://a.example:65536'\n"},
    {URL_IS("https://a..example"),
     "1:35: expected https://host[:port][/path], lower case, without a slash at the "
     "end, found 'https://a..example'\n"},
    {URL_IS("https://1.2.3"),
     "1:35: expected https://host[:port][/path], lower case, without a slash at the end, "
     "found 'https://1.2.3'\n"},
    {URL_IS("https://a.example/x/../y"),
     "1:35: expected https://host[:port][/path], lower case, without a slash at "
     "the end, found 'https://a.example/x/../y'\n"},
    {URL_IS("\"https://[::1\""),
     "1:35: expected https://host[:port][/path], lower case, without a slash at the end, "
     "found the text 'https://[::1'\n"},
    /* addresses */
    {LISTEN_IS("localhost:1"),
     "1:43: expected address:port such as 0.0.0.0:443 or [::]:443, found 'localhost:1'\n"},
    {LISTEN_IS("127.0.0.1"),
     "1:43: expected address:port such as 0.0.0.0:443 or [::]:443, found '127.0.0.1'\n"},
    {LISTEN_IS("'::1:443'"), "1:43: expected address:port such as 0.0.0.0:443 or [::]:443, found the text "
                             "'::1:443'\n"},
    {LISTEN_IS("'[::1]'"),
     "1:43: expected address:port such as 0.0.0.0:443 or [::]:443, found the text '[::1]'\n"},
    {LISTEN_IS("'[::1]:'"),
     "1:43: expected address:port such as 0.0.0.0:443 or [::]:443, found the text '[::1]:'\n"},
    {LISTEN_IS("1.2.3.4:70000"),
     "1:43: expected address:port such as 0.0.0.0:443 or [::]:443, found '1.2.3.4:70000'\n"},
    {SERVER REST "validation: { allow: [ 10.0.0.0/8, 10.0.0.1/8, x ] }\n",
     "4:36: expected an address or a network in CIDR form such as 10.0.0.0/8 or 2001:db8::/32, without bits "
     "set "
     "behind the prefix, found '10.0.0.1/8'\n"
     "4:48: expected an address or a network in CIDR form such as 10.0.0.0/8 or 2001:db8::/32, without bits "
     "set "
     "behind the prefix, found 'x'\n"},
    {SERVER REST "validation: { resolvers: [ 192.0.2.1, 'dns.example', '192.0.2.1:0' ] }\n",
     "4:39: expected a resolver's address such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53, found the "
     "text "
     "'dns.example'\n"
     "4:54: expected a resolver's address such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53, found the "
     "text "
     "'192.0.2.1:0'\n"},
    {SERVER REST "store: postgresql://x\n", "4:8: expected sqlite:///absolute/path, or sqlite:name for a "
                                            "file in the data folder (the only kind of store "
                                            "in this version), found 'postgresql://x'\n"},
    {SERVER REST "store: sqlite:/x\n", "4:8: expected sqlite:///absolute/path, or sqlite:name for a file in "
                                       "the data folder (the only kind of store "
                                       "in this version), found 'sqlite:/x'\n"},
    /* the server's certificate */
    {SERVER_IS("tls: { key_file: no-such-file }"),
     "1:61: expected certificate_file and key_file together, found only key_file\n"
     "1:71: expected a readable file, found 'no-such-file' (No such file or directory)\n"},
    {SERVER_IS("tls: { certificate_file: /, key_file: /, names: [a.example] }"),
     "1:79: expected a readable file, found '/' (not a regular file)\n"
     "1:92: expected a readable file, found '/' (not a regular file)\n"
     "1:95: expected names only without certificate_file (they go into a certificate from the local CA), "
     "found "
     "both\n"},
    {SERVER_IS("tls: { names: [ 'a b' ] }"), "1:70: expected a DNS name or an address, found 'a b' (a name "
                                             "has a character other than letters, digits, "
                                             "hyphen and dot)\n"},
    {SERVER "issuers: [ { name: s, type: scm, url: https://cm.example, customer_uri: c, login: l, org_id: 1, "
            "profile_id: 2, term_days: 3, password: '${CONFIG_TEST_PASSWORD}' } ]\n"
            "profiles: [ { name: default, issuer: s } ]\n",
     "1:1: expected a certificate for the server itself: either server.tls.certificate_file and key_file, or "
     "an "
     "issuer of type local, which then issues it; found neither\n"},
    /* issuers */
    {SCM_IS("login: l, org_id: 1, profile_id: 2, term_days: 3, password: '${CONFIG_TEST_PASSWORD}', "
            "supersede: maybe, supersede_after_minutes: 1, renewal: [renew]"),
     "4:165: expected decline or never, found 'maybe'\n"
     "4:197: expected a whole number of minutes from 2 to 10080, found '1'\n"
     "4:209: expected enroll or renew, found a list\n"},
    {SERVER "issuers: []\n" PROFILES, "2:10: expected a list of issuers of 1 to 64 items, found 0\n"},
    {SERVER "issuers: {}\n" PROFILES, "2:10: expected a list of issuers, found a mapping\n"},
    {SERVER "issuers: [ lab ]\n" PROFILES,
     "2:12: expected a mapping with name, type and what the type needs, found 'lab'\n"
     "3:38: expected the name of an issuer, found 'lab'\n"},
    {SERVER "issuers: [ { name: lab } ]\n" PROFILES,
     "2:12: expected the key 'type' (local, scm, keyfactor or cps), found none\n"},
    {SERVER "issuers: [ { name: lab, type: ejbca } ]\n" PROFILES,
     "2:31: expected local, scm, keyfactor or cps, found 'ejbca'\n"},
    {SERVER "issuers: [ { name: lab, type: local }, { name: lab, type: local } ]\n" PROFILES,
     "2:48: expected a name of its own for each issuer, found 'lab' again\n"},
    {SERVER "issuers: [ { name: lab, type: local, url: https://x.example, org_id: 3 } ]\n" PROFILES,
     "2:38: key 'url' does not apply to issuers of type local\n"
     "2:62: key 'org_id' does not apply to issuers of type local\n"},
    {SERVER "issuers: [ { name: lab, type: local }, { name: Lab_2, type: local } ]\n" PROFILES,
     "2:48: expected 1 to 32 of the characters a-z, 0-9 and -, found 'Lab_2'\n"},
    {SCM_IS("login: l, profile_id: 2, term_days: 3, password: '${CONFIG_TEST_PASSWORD}'"),
     "4:3: expected the key 'org_id', found none\n"},
    {SCM_IS("login: l, org_id: 0, profile_id: 2, term_days: 3, password: '${CONFIG_TEST_PASSWORD}'"),
     "4:85: expected a whole number, at least 1, found '0'\n"},
    {SCM_IS("login: l, org_id: 1, profile_id: 2, term_days: 3"),
     "4:3: expected a login: 'password_file' (or 'password_credential', 'password'), "
     "'client_certificate_file' with 'client_key_file', or 'oauth', found "
     "none\n"},
    {SERVER
     "issuers:\n- { name: lab, type: local }\n- { name: s, type: scm, url: http://cm.example:8080/, "
     "customer_uri: c, login: l, org_id: 1, profile_id: 2, term_days: 3, proxy: 'http://u:hunter2@host', "
     "password: '${CONFIG_TEST_PASSWORD}' }\n" PROFILES,
     "4:30: expected 'https://cm.example:8080', found 'http://cm.example:8080/'\n"
     "4:129: expected http://host:port, https://host:port or socks5h://host:port, found something else (not "
     "shown)\n"},
    {SCM_IS(
         "login: l, org_id: 1, profile_id: 2, term_days: 3, password: '${CONFIG_TEST_PASSWORD}', oauth: {}"),
     "4:154: expected one login, found 'oauth' besides 'password'\n"
     "4:161: expected the key 'token_url' (https://host[:port][/path] (http:// only to a loopback host)), "
     "found none\n"
     "4:161: expected the key 'client_id', found none\n"},
    {SCM_IS("org_id: 1, profile_id: 2, term_days: 3, password: '${CONFIG_TEST_PASSWORD}'"),
     "4:3: expected the key 'login', found none\n"},
    {SCM_IS("login: l, org_id: 1, profile_id: 2, term_days: 3, client_key_file: /dev/null/x"),
     "4:117: expected client_certificate_file and client_key_file together, found only client_key_file\n"
     "4:134: expected a readable file, found '/dev/null/x' (Not a directory)\n"},
    {SCM_IS("org_id: 1, profile_id: 2, term_days: 3, oauth: { token_url: 'http://sso.example', client_id: i, "
            "client_secret: '${CONFIG_TEST_PASSWORD}' }"),
     "4:50: expected 'customer_uri' only with a password or a client certificate, found it besides 'oauth'\n"
     "4:127: expected 'https://sso.example', found 'http://sso.example'\n"},
    {SCM_IS("login: l, org_id: 1, profile_id: 2, term_days: 3, password: '${CONFIG_TEST_PASSWORD}', class: "
            "email, dcv: on, dcv_mode: FAX, comments: '{tag}', custom_fields: [ a ]"),
     "4:161: expected ssl or device, found 'email'\n"
     "4:173: expected off or require-validated, found 'on'\n"
     "4:187: expected CNAME, EMAIL, HTTP, HTTPS, TXT or AUTO, found 'FAX'\n"
     "4:202: expected a text whose only braces are those of {order}, {account} and {eab}, found the text "
     "'{tag}'\n"
     "4:226: expected a mapping of at most 64 custom fields to their values, found a list\n"},
    {SCM_IS(
         "login: l, org_id: 1, profile_id: 2, term_days: 3, password: '${CONFIG_TEST_PASSWORD}', dcv_mode: "
         "EMAIL, custom_fields: { '': x, A: '' }, call_timeout_seconds: 181"),
     "4:164: expected dcv_email together with dcv_mode: EMAIL, found none\n"
     "4:188: expected the name of a custom field, of 1 to 256 characters, found the text ''\n"
     "4:198: expected text, found an empty one\n"
     "4:226: expected a whole number of seconds from 5 to 180, found '181'\n"},
    {SCM_IS("login: l, org_id: 1, profile_id: 2, term_days: 3, password: '${CONFIG_TEST_PASSWORD}', class: "
            "device, dcv_email: a@b.example, dcv: off, renewal: renew"),
     "4:169: expected dcv_email only together with dcv_mode: EMAIL, found it without\n"
     "4:193: expected 'dcv' only for class: ssl, found it with class: device\n"
     "4:203: expected 'renewal' only for class: ssl, found it with class: device\n"},
    /* profiles */
    {SERVER ISSUERS "profiles: []\n", "3:11: expected a list of profiles of 1 to 256 items, found 0\n"},
    {SERVER ISSUERS "profiles: [ { name: default } ]\n",
     "3:13: expected the key 'issuer' (the name of an issuer), found none\n"},
    {SERVER ISSUERS "profiles: [ { name: default, issuer: lba } ]\n",
     "3:38: expected the name of an issuer (lab), found 'lba'\n"},
    {SERVER ISSUERS "profiles: [ { name: a, issuer: lab }, { name: a, issuer: lab } ]\n",
     "3:47: expected a name of its own for each profile, found 'a' again\n"},
    {PROFILE_IS("challenges: [http-01, x]"), "3:65: expected challenge types: http-01, dns-01, tls-alpn-01, "
                                             "dns-account-01, dns-persist-01, found 'x'\n"},
    {PROFILE_IS("challenges: []"), "3:55: expected challenge types: http-01, dns-01, tls-alpn-01, "
                                   "dns-account-01, dns-persist-01, found a list\n"},
    {PROFILE_IS("challenges: [dns-persist-01]"),
     "3:55: expected the key 'caa' with the CA's names, which records "
     "of dns-persist-01 name, found none\n"},
    {PROFILE_IS("caa: on"), "3:48: expected off, or a list of 1 to 10 domain names, found 'on'\n"},
    {PROFILE_IS("caa: []"), "3:48: expected off, or a list of 1 to 10 domain names, found a list\n"},
    {PROFILE_IS("caa: [a, b, c, d, e, f, g, h, i, j, k]"),
     "3:48: expected off, or a list of 1 to 10 domain names, found a list\n"},
    {PROFILE_IS("caa: [ca.example, '*.ca.example', 'ca..example', 192.0.2.1]"),
     "3:61: expected a domain name such as ca.example, found the text '*.ca.example'\n"
     "3:77: expected a domain name such as ca.example, found the text 'ca..example'\n"
     "3:92: expected a domain name such as ca.example, found '192.0.2.1'\n"},
    {PROFILE_IS("identifiers: []"), "3:56: expected a list of identifier types: dns, ip, found a list\n"},
    {PROFILE_IS("identifiers: dns"), "3:56: expected a list of identifier types: dns, ip, found 'dns'\n"},
    {PROFILE_IS("challenges: [dns-01, dns-account-01], identifiers: [dns, ip]"),
     "3:94: expected ip only with a challenge that can prove addresses (http-01, tls-alpn-01), found none of "
     "them in 'challenges'\n"},
    {PROFILE_IS("identifiers: [dns, email]"), "3:62: expected dns or ip, found 'email'\n"},
    {PROFILE_IS("keys: { rsa_min_bits: 4096, rsa_max_bits: 3072 }"),
     "3:49: expected rsa_min_bits to be at most rsa_max_bits, found 4096 and 3072\n"},
    {PROFILE_IS("keys: { rsa_min_bits: 1024 }"),
     "3:65: expected a whole number of bits from 2048 to 8192, found '1024'\n"},
    {PROFILE_IS("keys: { rsa: false, p256: false, p384: false, p521: false }"),
     "3:49: expected at least one kind of key to be allowed, found all of them false\n"},
    /* accounts */
    {SERVER REST "accounts: { external_account_required: true }\n",
     "4:13: expected external_accounts with at least one of them when they are required (nobody could "
     "register "
     "else), found none\n"},
    {SERVER REST "accounts: { external_accounts: { kid: a } }\n",
     "4:32: expected a list of at most 1000 mappings with kid and hmac_key_file, found a mapping\n"},
    {SERVER REST "accounts: { external_accounts: [ a ] }\n",
     "4:34: expected a mapping with kid and hmac_key_file, found 'a'\n"},
    {SERVER REST "accounts:\n  external_accounts:\n  - { kid: a }\n",
     "6:5: expected the key 'hmac_key_file', 'hmac_key_credential' or 'hmac_key' (${VARIABLE}), found "
     "none\n"},
    {SERVER REST
     "accounts:\n  external_accounts:\n  - { kid: 'a b', hmac_key: '${CONFIG_TEST_MAC}' }\n"
     "  - { kid: b, hmac_key: '${CONFIG_TEST_MAC}' }\n  - { kid: b, hmac_key: '${CONFIG_TEST_MAC}' }\n"
     "  - { kid: c, hmac_key: '${CONFIG_TEST_PASSWORD}' }\n  - { kid: d, hmac_key: hunter2 }\n"
     "  - { hmac_key: '${CONFIG_TEST_MAC}', one_use: true }\n",
     "6:12: expected 1 to 128 printable ASCII characters without blanks and quotes, found the text 'a b'\n"
     "8:12: expected a kid of its own for each external account, found 'b' again\n"
     "9:5: expected an HMAC key of 32 to 768 octets in base64url without padding, found another text (not "
     "shown); 'openssl rand 32 | basenc --base64url | tr -d =' makes one\n"
     "10:25: expected hmac_key: ${VARIABLE}, found something else (not shown): an HMAC key does not belong "
     "into "
     "this file, use hmac_key_file, hmac_key_credential or an environment variable\n"
     "11:5: expected the key 'kid', found none\n"
     "11:39: unknown key 'one_use', expected one of: kid, hmac_key_file, hmac_key_credential, hmac_key, "
     "single_use\n"},
    {SERVER_IS("terms_of_service_must_agree: true"),
     "1:54: expected terms_of_service_must_agree only with terms_of_service, found it alone\n"},
    {SERVER REST "default_profile: nix\n", "4:18: expected the name of a profile (default), found 'nix'\n"},
    {SERVER "issuers:\n- { name: lab, type: local }\n- { name: s, type: scm, url: https://cm.example, "
            "customer_uri: c, login: l, org_id: 1, profile_id: 2, term_days: 3, "
            "password: '${CONFIG_TEST_PASSWORD}' }\n"
            "profiles: [ { name: p, issuer: s, validity_days: 90 } ]\n",
     "5:35: key 'validity_days' does not apply to issuers of type scm\n"},
    {SERVER "issuers:\n- { name: lab, type: local }\n- { name: s, type: scm, url: https://cm.example, "
            "customer_uri: c, login: l, org_id: 1, profile_id: 2, term_days: 3, "
            "password: '${CONFIG_TEST_PASSWORD}' }\n"
            "profiles: [ { name: p, issuer: s, allow_requested_dates: true } ]\n",
     "5:35: key 'allow_requested_dates' does not apply to issuers of type scm\n"},
    /* several at once, in the order of the file although found in another */
    {"profiles: [ { name: a, issuer: nix } ]\nissuers: [ { name: lab, type: local, x: 1 } ]\n"
     "server: { url: https://a.example, listen: nowhere }\n",
     "1:32: expected the name of an issuer (lab), found 'nix'\n"
     "2:38: unknown key 'x', expected one of: name, type, deadline_hours, max_concurrency, "
     "cross_certificates_file\n"
     "3:43: expected address:port such as 0.0.0.0:443 or [::]:443, found 'nowhere'\n"},
};

/* The lines of `error` without "f.yaml:" in front. */
static char *without_name(const char *error)
{
    char *plain = calloc(1, strlen(error) + 1);
    assert_non_null(plain);
    char *out = plain;
    while (*error != '\0') {
        const char *end = strchr(error, '\n');
        assert_non_null(end);
        assert_int_equal(strncmp(error, "f.yaml:", 7), 0);
        size_t len = (size_t)(end + 1 - error - 7);
        memcpy(out, error + 7, len);
        out += len;
        error = end + 1;
    }
    return plain;
}

static void test_every_mistake_has_its_place(void **state)
{
    (void)state;
    setenv("CONFIG_TEST_PASSWORD", "from the environment", 1);
    setenv("CONFIG_TEST_MAC", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 1);
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct acme_config *config = NULL;
        char *error = NULL;
        struct acme_err err =
            acme_config_parse("f.yaml", files[i].text, strlen(files[i].text), NULL, &config, &error);
        if (err.code != ACME_E_FORMAT || error == NULL) {
            print_error("accepted (%s):\n%s\n", acme_code_name(err.code), files[i].text);
            acme_config_destroy(config);
            wrong++;
            continue;
        }
        assert_null(config);
        char *plain = without_name(error);
        if (strcmp(plain, files[i].mistakes) != 0) {
            print_error("in:\n%sexpected:\n%sfound:\n%s\n", files[i].text, files[i].mistakes, plain);
            wrong++;
        }
        free(plain);
        free(error);
    }
    assert_int_equal(wrong, 0);
}

static void test_many_mistakes_are_counted(void **state)
{
    (void)state;
    char text[8192] = SERVER REST "validation: { allow: [";
    for (int i = 0; i < 100; i++)
        strcat(text, i == 0 ? "x" : ", x");
    strcat(text, "] }\n");
    struct acme_config *config = NULL;
    char *error = NULL;
    assert_int_equal(acme_config_parse("f.yaml", text, strlen(text), NULL, &config, &error).code,
                     ACME_E_FORMAT);
    assert_non_null(strstr(error, "\nf.yaml: and 36 more mistakes\n"));
    free(error);
}

static void test_limits(void **state)
{
    (void)state;
    const size_t size = 1024 * 1024 + 1;
    char *text = malloc(size);
    assert_non_null(text);
    struct acme_config *config = NULL;
    char *error = NULL;

    memset(text, ' ', size);
    assert_int_equal(acme_config_parse("f.yaml", text, size, NULL, &config, &error).code, ACME_E_FORMAT);
    assert_string_equal(error, "f.yaml: expected at most 1 MiB, found a larger file\n");
    free(error);
    error = NULL;

    text[0] = '[';
    for (size_t i = 1; i + 1 < 50000; i += 2)
        memcpy(text + i, "a,", 2);
    assert_int_equal(acme_config_parse("f.yaml", text, 49999, NULL, &config, &error).code, ACME_E_FORMAT);
    assert_string_equal(error, "f.yaml:1:40000: expected a configuration, found more than 20000 values\n");
    free(error);
    free(text);
    assert_null(config);
}

static void test_unreadable_files(void **state)
{
    (void)state;
    struct acme_config *config = NULL;
    char *error = NULL;
    assert_int_equal(acme_config_load("no-such-folder/x.yaml", NULL, &config, &error).code, ACME_E_IO);
    assert_string_equal(
        error, "no-such-folder/x.yaml: expected a readable file, found: No such file or directory\n");
    free(error);
    error = NULL;
    assert_int_equal(acme_config_load("/", NULL, &config, &error).code, ACME_E_IO);
    assert_string_equal(error, "/: expected a readable file, found: Is a directory\n");
    free(error);
    assert_null(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mistake_has_its_place),
        cmocka_unit_test(test_many_mistakes_are_counted),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_unreadable_files),
    };
    return cmocka_run_group_tests_name("config mistakes", tests, NULL, NULL);
}
