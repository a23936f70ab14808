#!/bin/bash
# A real PostgreSQL 15 for tests, in the foreground: postgresql_server.sh DIR PORT [postgres options].
# Makes the cluster in DIR when there is none. Superuser `postgres`, password `postgres`; trusted on
# the socket in DIR, by password on 127.0.0.1:PORT. Ends with the process that started it. PostgreSQL
# refuses to run as root: there it runs as the user `postgres` of Debian's package.
set -euo pipefail
directory=$1 port=$2
shift 2
programs=/usr/lib/postgresql/15/bin
if [[ ! -x $programs/postgres ]]; then
  echo "postgresql_server.sh: $programs/postgres is missing: run scripts/install-packages" >&2
  exit 3
fi
as=(setpriv --pdeathsig KILL)
((EUID != 0)) || as=(setpriv --reuid postgres --regid postgres --clear-groups --pdeathsig KILL)
cluster=$directory/cluster
if [[ ! -e $cluster/PG_VERSION ]]; then
  mkdir -p "$directory"
  ((EUID != 0)) || chown postgres "$directory"
  echo postgres >"$directory/password"
  chmod 644 "$directory/password"
  "${as[@]}" "$programs/initdb" -D "$cluster" -U postgres --pwfile "$directory/password" \
    --auth-local trust --auth-host scram-sha-256 --encoding UTF8 --locale C.UTF-8 --no-sync \
    >"$directory/initdb.log" 2>&1 || { cat "$directory/initdb.log" >&2; exit 4; }
fi
cd /
exec "${as[@]}" "$programs/postgres" -D "$cluster" -p "$port" -k "$directory" \
  -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=32MB -c max_connections=40 \
  -c log_line_prefix='%m [%p] %a ' "$@"
