#!/usr/bin/env -S bash # bash clusters/this_machine.sh: a Ray on this machine alone, until Ctrl-C
set -euo pipefail
umask 077

export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
# A trial that outgrows its memory dies alone, by the kernel; Ray's own guard would end the search.
export RAY_memory_monitor_refresh_ms=0

token=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
if [ -z "${RAY_AUTH_TOKEN:-}" ] && [ ! -s "$token" ]; then
    mkdir -p "$(dirname "$token")"
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$token"
fi
[ ! -e "$token" ] || chmod 600 "$token"

# All that can be told to listen on loopback does. The ports are those of the table in the README.
exec ray start --head --block --node-ip-address=127.0.0.1 --disable-usage-stats \
    --port="${TOPRUNG_GCS_PORT:-6379}" \
    --dashboard-host=127.0.0.1 --dashboard-port="${TOPRUNG_DASHBOARD_PORT:-8265}" "$@"
