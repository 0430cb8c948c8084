# The Debian 12 packages this project needs, all of them, in one place. Sourced after common.sh.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the lists are for those that source this file

PACKAGES_BUILD=(
    gcc libc6-dev cmake ninja-build pkg-config
    libssl-dev libevent-dev libcurl4-openssl-dev libsqlite3-dev libunbound-dev libyaml-dev libcjson-dev uuid-dev
    libcmocka-dev
    nettle-dev # libunbound's pkg-config file names it, its package does not depend on it
)
# What the demonstration and the integration tests use: clients, the simulators' Python, tools.
PACKAGES_CLIENTS=(certbot lego curl openssl ca-certificates procps python3 python3-cryptography)
PACKAGES_TEST=(shellcheck bind9-dnsutils python3-dnspython)
# Further ACME clients, and what brings others from their registries. See clients.sh.
PACKAGES_INTEROP=(certbot lego uacme dehydrated lacme lacme-accountd libcrypt-openssl-rsa-perl python3-venv util-linux)
PACKAGES_FUZZ=(clang-14 libclang-rt-14-dev)
PACKAGES_CI=(clang-format-14 clang-tidy-14 git)

packages_missing() {
    local package
    for package in "$@"; do
        if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) != installed ]]; then
            printf '%s\n' "$package"
        fi
    done
}

# install_packages PACKAGE...: nothing at all happens when all of them are there.
install_packages() {
    command -v dpkg-query >/dev/null || die "this script installs Debian packages; on another system see README.md"
    local missing
    mapfile -t missing < <(packages_missing "$@")
    if ((${#missing[@]} == 0)); then
        note "all installed"
        return
    fi
    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "please install as root: apt-get install ${missing[*]}"
        as_root=(sudo)
        sudo -v || die "please install as root: apt-get install ${missing[*]}"
    fi
    note "installing ${missing[*]}"
    local log=$ROOT/build/packages.log
    quietly "$log" "${as_root[@]}" apt-get update || die "apt-get update failed"
    quietly "$log" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}" || die "apt-get install failed"
}
