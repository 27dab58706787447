# Network namespaces for tests, to be sourced by bash scripts run as root. Everything made here
# has a name of its own and is removed when the script ends, however it ends.
#
#   ns_create NAME             a namespace with lo up
#   ns_exec NAME COMMAND...    runs a command in it
#   ns_exec_as NAME UID COMMAND...   the same as user and group UID, without capabilities
#   ns_spawn NAME UID COMMAND...     in the background; waits until it prints "ready"
#   ns_link NAME-A NAME-B      a veth pair, called eth0 in both
#   pod_create                 the namespaces "app" and "client", linked:
#                              app    10.77.0.2/24  fd77::2/64, default route to client
#                              client 10.77.0.1/24  fd77::1/64, and the services' addresses
#                                     10.96.0.1 10.97.0.1 fd96::1 fd97::1 on lo
#   check WHAT EXPECTED ACTUAL       prints ok or not ok, counts
#   finish                     prints the plan; the script's exit status
#
# NS_BUILD is the build directory (default: build), NS_CAPTURE the command that sets up rules.

set -u
NS_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
NS_BUILD=${NS_BUILD:-$NS_TOP/build}
NS_CAPTURE=${NS_CAPTURE:-$NS_BUILD/tests/netns/capture}
NS_LISTEN=$NS_BUILD/tests/netns/capture-listen
NS_DIAL=$NS_TOP/tests/netns/dial.py
NS_PREFIX=rmr-$$
NS_TMP=$(mktemp -d)
chmod 755 "$NS_TMP"
ns_names=()
ns_pids=()
ns_count=0
ns_failed=0

ns_cleanup() {
    local pid name
    for pid in ${ns_pids[@]+"${ns_pids[@]}"}; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    for name in ${ns_names[@]+"${ns_names[@]}"}; do
        ip netns del "$NS_PREFIX-$name" 2>/dev/null
    done
    ns_pids=()
    ns_names=()
}
trap 'ns_cleanup; rm -rf "$NS_TMP"' EXIT
trap 'exit 130' INT TERM HUP

ns_skip() {
    echo "1..0 # SKIP $1"
    exit 0
}

[ "$(id -u)" = 0 ] || ns_skip "needs root"
ip netns add "$NS_PREFIX-try" 2>/dev/null || ns_skip "cannot make network namespaces"
ip netns del "$NS_PREFIX-try"

ns_create() {
    ip netns add "$NS_PREFIX-$1" || exit 1
    ns_names+=("$1")
    ns_exec "$1" ip link set lo up
}

ns_exec() {
    local name=$1
    shift
    ip netns exec "$NS_PREFIX-$name" "$@"
}

ns_exec_as() {
    local name=$1 uid=$2
    shift 2
    ns_exec "$name" "$NS_TOP/deploy/run-as" "$uid" "$@"
}

ns_spawn() {
    local out=$NS_TMP/spawn-${#ns_pids[@]}-$RANDOM i
    local name=$1 uid=$2
    shift 2
    ip netns exec "$NS_PREFIX-$name" "$NS_TOP/deploy/run-as" "$uid" "$@" >"$out" 2>&1 &
    ns_pids+=($!)
    for i in $(seq 100); do
        grep -q ready "$out" && return 0
        sleep 0.05
    done
    echo "Bail out! $* did not start: $(cat "$out")"
    exit 1
}

ns_link() {
    ip link add "$NS_PREFIX-a" netns "$NS_PREFIX-$1" type veth peer name "$NS_PREFIX-b" \
        netns "$NS_PREFIX-$2" || exit 1
    ns_exec "$1" ip link set "$NS_PREFIX-a" name eth0 up
    ns_exec "$2" ip link set "$NS_PREFIX-b" name eth0 up
}

pod_create() {
    local address
    ns_create app
    ns_create client
    ns_link app client
    ns_exec app ip addr add 10.77.0.2/24 dev eth0
    ns_exec app ip addr add fd77::2/64 dev eth0 nodad
    ns_exec client ip addr add 10.77.0.1/24 dev eth0
    ns_exec client ip addr add fd77::1/64 dev eth0 nodad
    ns_exec app ip route add default via 10.77.0.1
    ns_exec app ip -6 route add default via fd77::1
    for address in 10.96.0.1/32 10.97.0.1/32 fd96::1/128 fd97::1/128; do
        ns_exec client ip addr add "$address" dev lo
    done
}

# The backends of iptables that this machine has.
backends() {
    local b
    for b in nft legacy; do
        command -v "iptables-$b-restore" >/dev/null && command -v "ip6tables-$b-restore" \
            >/dev/null && echo "$b"
    done
}

# All rules of a namespace in both backends and families, without counters and comments.
rules_of() {
    local b f
    for b in $(backends); do
        for f in iptables ip6tables; do
            echo "$f-$b"
            ns_exec "$1" "$f-$b-save" | sed -e '/^#/d' -e 's/\[[0-9:]*\]//'
        done
    done
}

# dial NAMESPACE UID HOST PORT [SOURCE]
dial() {
    local name=$1 uid=$2
    shift 2
    ns_exec_as "$name" "$uid" "$NS_DIAL" "$@"
}

check() {
    ns_count=$((ns_count + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $ns_count - $1"
    else
        echo "not ok $ns_count - $1"
        echo "#  expected: $2"
        echo "#  actual:   $3"
        ns_failed=$((ns_failed + 1))
    fi
}

finish() {
    echo "1..$ns_count"
    [ "$ns_failed" = 0 ]
    exit
}
