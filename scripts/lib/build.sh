# Building. Sourced after common.sh.
# shellcheck shell=bash

# build_preset PRESET [TARGET...]: configure when that has not been done, then build; everything without a TARGET.
build_preset() {
    local preset=$1
    shift
    local log=$ROOT/build/$preset.log
    local targets=()
    if (($# > 0)); then
        targets=(--target "$@")
    fi
    cd -- "$ROOT" || return
    if [[ ! -f build/$preset/build.ninja ]]; then
        quietly "$log" cmake --preset "$preset" || die "configuring the preset $preset failed"
    fi
    local started=$SECONDS
    quietly "$log" cmake --build --preset "$preset" "${targets[@]}" || die "building the preset $preset failed"
    note "$preset: build/$preset ($((SECONDS - started)) s)"
}
