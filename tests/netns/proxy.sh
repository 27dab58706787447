# A pod with Remora in it, to be sourced instead of lib.sh: its rules, as capture names them, its
# start, and connections that are counted.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

remora=$NS_BUILD/remora
[ -x "$remora" ] || ns_skip "there is no $remora"
command -v clang-14 >/dev/null || ns_skip "clang-14, which builds the plugins, is not installed"
log=$NS_TMP/remora.log
listener_flags= # set to "transparent" for TPROXY

set_rules() {
    ns_exec app env ISTIO_DUAL_STACK=true "$remora" istio-iptables "${capture[@]}" \
        >"$NS_TMP/rules.log" 2>&1
    echo $?
}

talk() {
    local name=$1 uid=$2
    shift 2
    ns_exec_as "$name" "$uid" "$NS_TOP/tests/netns/talk.py" "$@"
}

admin() {
    talk app 0 admin 15000 "$@"
}

# How many connections came in by the outbound side, by the inbound side, went on, are open. The
# admin listener is not meant, nor the workers' own counts.
connections() {
    admin GET /stats | awk -F ': ' '
        /^listener\.admin\./ || /\.worker_[0-9]+\./ { next }
        /^listener\..*_15006\.downstream_cx_total: / { inbound += $2; next }
        /^listener\..*\.downstream_cx_total: / { outbound += $2 }
        /^cluster\..*\.upstream_cx_total: / { upstream += $2 }
        /^listener\..*\.downstream_cx_active: / { active += $2 }
        END { print outbound + 0, inbound + 0, upstream + 0, active + 0 }'
}

# counted COMMAND...: what it prints, then how many connections came and went on.
counted() {
    local was is text
    was=($(connections))
    text=$("$@")
    is=($(connections))
    echo "$text out=$((is[0] - was[0])) in=$((is[1] - was[1])) up=$((is[2] - was[2]))"
}

# Ready, and all plugins serve.
is_ready() {
    local states
    [ "$(admin GET /ready 2>/dev/null)" = LIVE ] || return
    states=$(admin GET /plugins | grep -oE '"state": ?"[a-z]*"')
    [ -n "$states" ] && ! grep -qvE 'live|probation' <<<"$states"
}

# start_remora PREFIX...: the command that makes it the user it shall be
start_remora() {
    local i
    REMORA=$remora "$NS_TOP/tests/netns/proxy_conf.py" 10.77.0.2 fd77::2 $listener_flags \
        >"$NS_TMP/conf.json" || exit 1
    mkdir "$NS_TMP/data" && chown 1337:1337 "$NS_TMP/data"
    ip netns exec "$NS_PREFIX-app" "$@" "$remora" -c "$NS_TMP/conf.json" --concurrency 2 \
        -l warning --data-dir "$NS_TMP/data" >"$log" 2>&1 &
    ns_pids+=($!)
    for i in $(seq 200); do
        is_ready && return 0
        sleep 0.05
    done
    echo "Bail out! Remora did not start: $(cat "$log")"
    exit 1
}

# Ends the process started last, which Remora has to be.
stop_remora() {
    kill "${ns_pids[-1]}"
    wait "${ns_pids[-1]}"
    check "Remora ends well" 0 $?
    unset 'ns_pids[-1]'
}
