// A small command line on npm's acme-client.
//
//   node client.js issue|renew|revoke CHALLENGE NAME...
//
// The environment says where: INTEROP_DIRECTORY (the ACME directory), INTEROP_STATE (a folder for the account and the
// certificates), INTEROP_WEBROOT, INTEROP_ALPN (a folder for certificates that tls-alpn-01 shows), INTEROP_DNS_HOOK (the
// program that changes DNS records), and NODE_EXTRA_CA_CERTS.

'use strict';

const { execFileSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const acme = require(path.join(process.env.INTEROP_MODULES, 'acme-client'));

const state = (name) => path.join(process.env.INTEROP_STATE, name);

async function accountKey() {
    if (!fs.existsSync(state('account.key'))) {
        fs.writeFileSync(state('account.key'), await acme.crypto.createPrivateEcdsaKey(), { mode: 0o600 });
    }
    return fs.readFileSync(state('account.key'));
}

const shows = {
    'http-01': {
        file: (challenge) => path.join(process.env.INTEROP_WEBROOT, '.well-known', 'acme-challenge', challenge.token),
        async show(authz, challenge, answer) {
            fs.mkdirSync(path.dirname(this.file(challenge)), { recursive: true });
            fs.writeFileSync(this.file(challenge), answer);
        },
        async hide(authz, challenge) {
            fs.unlinkSync(this.file(challenge));
        },
    },
    'dns-01': {
        call(verb, authz, answer) {
            execFileSync(process.env.INTEROP_DNS_HOOK, [verb, `_acme-challenge.${authz.identifier.value}`, answer]);
        },
        async show(authz, challenge, answer) {
            this.call('add', authz, answer);
        },
        async hide(authz, challenge, answer) {
            this.call('remove', authz, answer);
        },
    },
    'tls-alpn-01': {
        file: (authz, what) => path.join(process.env.INTEROP_ALPN, `${authz.identifier.value}.${what}.pem`),
        async show(authz, challenge, answer) {
            const [key, certificate] = await acme.crypto.createAlpnCertificate(authz, answer);
            fs.writeFileSync(this.file(authz, 'key'), key);
            fs.writeFileSync(this.file(authz, 'crt'), certificate);
        },
        async hide(authz) {
            fs.unlinkSync(this.file(authz, 'key'));
            fs.unlinkSync(this.file(authz, 'crt'));
        },
    },
};

async function main() {
    const [action, type, ...names] = process.argv.slice(2);
    const client = new acme.Client({ directoryUrl: process.env.INTEROP_DIRECTORY, accountKey: await accountKey() });
    if (action === 'revoke') {
        await client.createAccount({ onlyReturnExisting: true });
        await client.revokeCertificate(fs.readFileSync(state(`${names[0]}.crt`)));
        return;
    }
    const [key, csr] = await acme.crypto.createCsr({ altNames: names });
    const how = shows[type];
    const certificate = await client.auto({
        csr,
        email: 'admin@corp.example',
        termsOfServiceAgreed: true,
        skipChallengeVerification: true,
        challengePriority: [type],
        challengeCreateFn: (authz, challenge, answer) => how.show(authz, challenge, answer),
        challengeRemoveFn: (authz, challenge, answer) => how.hide(authz, challenge, answer),
    });
    fs.writeFileSync(state(`${names[0]}.key`), key, { mode: 0o600 });
    fs.writeFileSync(state(`${names[0]}.crt`), certificate);
}

main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
});
