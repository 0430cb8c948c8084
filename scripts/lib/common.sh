# Output and error handling for the scripts of this folder. Sourced, never run.
# shellcheck shell=bash
set -euo pipefail

ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)"
# Debian's: its modules are installed as Debian packages.
# shellcheck disable=SC2034 # used by those that source this file
PYTHON=/usr/bin/python3

# Python leaves no compiled files in the source tree.
export PYTHONDONTWRITEBYTECODE=1

heading() {
    printf '\n== %s\n' "$1"
}

note() {
    printf '   %s\n' "$@"
}

die() {
    printf '\n%s: %s\n' "${0##*/}" "$1" >&2
    exit "${2:-1}"
}

# A wrong command line: what is wrong, then the usage text the script has in USAGE.
usage_error() {
    printf '%s: %s\n%s\n' "${0##*/}" "$1" "$USAGE" >&2
    exit 2
}

# show_tail LOG: the end of a log, indented, on standard error.
show_tail() {
    [[ -s $1 ]] || return 0
    printf '   --- the end of %s\n' "${1#"$ROOT"/}" >&2
    tail -n 40 -- "$1" | sed 's/^/   | /' >&2
}

# quietly LOG COMMAND...: run it with all its output in LOG, which is shown when it fails.
quietly() {
    local log=$1
    shift
    mkdir -p -- "$(dirname -- "$log")"
    local status=0
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if ((status != 0)); then
        show_tail "$log"
    fi
    return "$status"
}
