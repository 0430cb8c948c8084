# Starting and stopping acmebridge and the SCM simulator. Sourced after common.sh.
# shellcheck shell=bash

# yaml_text TEXT: as a YAML string, whatever characters a path may have.
yaml_text() {
    printf "'%s'" "${1//\'/\'\'}"
}

port_in_use() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# need_port PORT WHAT: give up, clearly, when somebody listens there.
need_port() {
    if port_in_use "$1"; then
        die "port $1 is in use, but $2 needs it. Stop what listens there (ss -ltnp 'sport = :$1') and start again."
    fi
}

# free_port: a port of loopback that nobody listens on.
free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# json_field FILE NAME: a member of a JSON object.
json_field() {
    "$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"
}

# start_acmebridge BINARY CONFIG LOG: in the background; the process id is in ACMEBRIDGE_PID.
start_acmebridge() {
    setsid "$1" serve --config "$2" >>"$3" 2>&1 </dev/null &
    ACMEBRIDGE_PID=$!
}

# wait_for_acmebridge URL ROOT_FILE LOG: until the directory is served, at most 30 s.
wait_for_acmebridge() {
    local deadline=$((SECONDS + 30))
    while ((SECONDS < deadline)); do
        if ! kill -0 "$ACMEBRIDGE_PID" 2>/dev/null; then
            show_tail "$3"
            die "acmebridge ended while starting"
        fi
        if [[ -s $2 ]] && curl --silent --fail --max-time 5 --cacert "$2" --output /dev/null "$1"; then
            return
        fi
        sleep 0.1
    done
    show_tail "$3"
    die "acmebridge does not serve $1 after 30 s"
}

# start_simulator STATE_DIR LOG: in the background, until it is ready; the process id is in SIMULATOR_PID.
start_simulator() {
    rm -f -- "$1/ready.json"
    setsid "$PYTHON" "$ROOT/tests/scenario/scm_simulator.py" --state-dir "$1" --login acme-api --customer-uri corp \
        >>"$2" 2>&1 </dev/null &
    SIMULATOR_PID=$!
    local deadline=$((SECONDS + 30))
    while [[ ! -s $1/ready.json ]]; do
        if ! kill -0 "$SIMULATOR_PID" 2>/dev/null || ((SECONDS >= deadline)); then
            show_tail "$2"
            die "the SCM simulator did not start"
        fi
        sleep 0.1
    done
}

# stop_process PID: SIGTERM, and SIGKILL after 10 s. An empty PID and one that ended are fine.
stop_process() {
    local pid=${1:-}
    [[ -n $pid ]] || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}
