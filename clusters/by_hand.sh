#!/usr/bin/env -S bash # by_hand.sh head [ADDRESS] | by_hand.sh worker HEAD [ADDRESS]: machine by machine
#
# Stays in the foreground until Ctrl-C or SIGTERM, and then ends what it started and nothing else:
# run it under tmux, nohup or systemd. The head makes the token; every other machine needs a copy
# of that file (clusters/README.md). Further options of `ray start` may follow after --.
set -euo pipefail
umask 077

usage() {
    sed -n '1s/^[^#]*#[^#]*# //p' "$0" >&2
    exit 2
}

role=${1:-}
case "$role" in
    head) shift ;;
    worker)
        [ $# -ge 2 ] || usage
        head_address=$2
        shift 2
        ;;
    *) usage ;;
esac
own_address=
if [ $# -gt 0 ] && [ "$1" != "--" ]; then
    own_address=$1
    shift
fi
[ "${1:-}" != "--" ] || shift

export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
# A trial that outgrows its memory dies alone, by the kernel; Ray's own guard would end the search.
export RAY_memory_monitor_refresh_ms=0
# A node that does not answer is given up after some 25 s, not 64; a network that is gone for 8 s
# is waited for.
export RAY_health_check_period_ms=1000
export RAY_health_check_timeout_ms=5000
export RAY_health_check_failure_threshold=4
# Nor is what was asked of such a node waited for two minutes and more.
export RAY_grpc_client_keepalive_time_ms=65000
export RAY_grpc_client_keepalive_timeout_ms=20000

token=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
if [ "$role" = head ] && [ -z "${RAY_AUTH_TOKEN:-}" ] && [ ! -s "$token" ]; then
    mkdir -p "$(dirname "$token")"
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$token"
fi
if [ -z "${RAY_AUTH_TOKEN:-}" ] && [ ! -s "$token" ]; then
    echo "no token: copy the head's $token to this machine first (scp keeps it yours alone)" >&2
    exit 3
fi
[ ! -e "$token" ] || chmod 600 "$token"

# Fixed ports, so that a firewall can name them; the table is in the README.
options=(
    --block --disable-usage-stats
    --node-manager-port=6380 --object-manager-port=6381
    --runtime-env-agent-port=6382 --metrics-export-port=6383
    --dashboard-agent-grpc-port=6384 --dashboard-agent-listen-port=6385
    --min-worker-port=20000 --max-worker-port=20999
)
[ -z "$own_address" ] || options+=(--node-ip-address="$own_address")
if [ "$role" = head ]; then
    exec ray start --head --port=6379 --dashboard-host=127.0.0.1 --dashboard-port=8265 \
        --ray-client-server-port=6386 "${options[@]}" "$@"
fi
exec ray start --address="$head_address:6379" "${options[@]}" "$@"
