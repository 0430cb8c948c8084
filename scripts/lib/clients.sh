# The ACME clients that tests/interop runs, each in build/clients/NAME. Sourced after common.sh and deps.sh.
#
# A client that is there has a file "installed", one that could not be had a file "why-not"; the tests read them.
# Registries are reached through their own clients (pip, go, npm, mvn), with whatever proxies those are configured for.
# shellcheck shell=bash

CLIENTS=$ROOT/build/clients
CLIENT_PROGRAMS=$ROOT/tests/interop/programs
# Which Go to take from the module proxy where the installed one is too old for programs/lego.
GO_TOOLCHAIN=1.27.3

# fetch COMMAND...: three tries with an end; registries have bad minutes.
fetch() {
    local try
    for try in 1 2 3; do
        timeout 200 "$@" && return
        printf '(try %d of 3 failed)\n' "$try"
        sleep "$((try * 2))"
    done
    return 1
}

# have_packages PACKAGE...: install_packages without the end of the script when that fails.
have_packages() {
    (install_packages "$@")
}

# Some clients trust the system's list of roots only. Their tests change it in a mount namespace of their own.
may_unshare() {
    local options=(--mount)
    ((EUID == 0)) || options+=(--map-root-user)
    unshare "${options[@]}" true || {
        printf 'mount namespaces are not allowed here\n'
        return 1
    }
}

have_certbot() { have_packages certbot; }
have_lego() { have_packages lego; }
have_uacme() { have_packages uacme && may_unshare; }
have_dehydrated() { have_packages dehydrated; }
have_lacme() { have_packages lacme lacme-accountd libcrypt-openssl-rsa-perl && may_unshare; }

# Unpacked, not installed: the package would start a web server on port 80.
build_caddy() {
    cd -- "$1" || return
    if ! apt-get download caddy; then
        # A new machine has no package lists yet.
        ((EUID != 0)) || fetch apt-get update
        fetch apt-get download caddy || return
    fi
    dpkg-deb -x caddy_*.deb . && usr/bin/caddy version
}

build_certbot_new() {
    have_packages python3-venv && "$PYTHON" -m venv "$1/venv" && fetch "$1/venv/bin/pip" install --quiet certbot
}

# find_go: GO becomes a go command that is new enough for programs/lego. Where there is none, Go comes as a module.
find_go() {
    local needed platform folder
    needed=$(sed -n 's/^go //p' "$CLIENT_PROGRAMS/lego/go.mod")
    command -v go >/dev/null || have_packages golang-go || return
    GO=$(command -v go)
    if [[ $(printf 'go%s\n%s\n' "$needed" "$("$GO" env GOVERSION)" | sort -V | head -n 1) == "go$needed" ]]; then
        return
    fi
    platform=$("$GO" env GOOS)-$("$GO" env GOARCH)
    fetch "$GO" mod download "golang.org/toolchain@v0.0.1-go$GO_TOOLCHAIN.$platform" || return
    folder=$("$GO" env GOMODCACHE)/golang.org/toolchain@v0.0.1-go$GO_TOOLCHAIN.$platform
    # What modules hold is not executable, until one says so.
    chmod +x "$folder"/bin/* "$folder"/pkg/tool/*/* || return
    GO=$folder/bin/go
}

# The newest, and where that is not to be had or has another interface, the one of go.mod.
build_lego_new() {
    find_go || return
    export GOTOOLCHAIN=local CGO_ENABLED=0
    unset GOROOT
    cp -r -- "$CLIENT_PROGRAMS/lego" "$1/newest" && cp -r -- "$CLIENT_PROGRAMS/lego" "$1/known" || return
    if cd -- "$1/newest" && timeout 200 "$GO" get github.com/go-acme/lego/v5/lego@latest &&
        timeout 300 "$GO" build -mod=mod -o ../lego-program .; then
        return
    fi
    cd -- "$1/known" && fetch "$GO" build -o ../lego-program .
}

build_npm() {
    command -v npm >/dev/null || have_packages nodejs npm || return
    cp -- "$CLIENT_PROGRAMS/npm/package.json" "$1" &&
        fetch npm install --prefix "$1" --no-audit --no-fund --no-package-lock --ignore-scripts
}

build_acme4j() {
    { command -v mvn && command -v javac; } >/dev/null || have_packages default-jdk-headless maven || return
    cp -- "$CLIENT_PROGRAMS/acme4j/pom.xml" "$1" &&
        fetch mvn -q -B -f "$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1/lib" &&
        javac -d "$1/classes" -cp "$1/lib/*" "$CLIENT_PROGRAMS/acme4j/"*.java
}

# what_of NAME FUNCTION: changes whenever what the client is built from changes.
what_of() {
    local program=$CLIENT_PROGRAMS/${1%-new}
    {
        declare -f "$2"
        [[ ! -d $program ]] || find "$program" -type f -exec cat {} +
    } | sha256sum
}

# client NAME FUNCTION: the function, when what it made is not there yet, and what came of it.
client() {
    local name=$1 function=$2 what
    local folder=$CLIENTS/$name
    what=$(what_of "$name" "$function")
    if [[ $function == build_* && -f $folder/installed && $(<"$folder/installed") == "$what" ]]; then
        return
    fi
    rm -rf -- "$folder"
    mkdir -p -- "$folder"
    if (quietly "$folder/install.log" "$function" "$folder"); then
        printf '%s\n' "$what" >"$folder/installed"
    else
        grep . "$folder/install.log" | tail -n 1 >"$folder/why-not" || printf 'no reason given\n' >"$folder/why-not"
        note "$name could not be installed: $(<"$folder/why-not")"
    fi
}

# install_clients: all of them; nothing at all happens when they are there.
install_clients() {
    local started=$SECONDS
    # At once, which is quicker; what fails is tried again one by one.
    have_packages "${PACKAGES_INTEROP[@]}" || note "not all Debian packages could be installed"
    client certbot have_certbot
    client lego have_lego
    client uacme have_uacme
    client dehydrated have_dehydrated
    client lacme have_lacme
    client caddy build_caddy
    client certbot-new build_certbot_new
    client lego-new build_lego_new
    client npm build_npm
    client acme4j build_acme4j
    note "ready ($((SECONDS - started)) s)"
}
