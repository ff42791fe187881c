#!/usr/bin/env bash
# Backs up and restores the databases of a city's services: docs/sre.md says when to use what, and why it is so.
#
#   DATABASE_URL='postgresql://tulou@db/tulou_{service}' docs/backup.sh backup FOLDER approval credit
#
# It needs bash and PostgreSQL's own client programs, not older than the server. A service that calls another one stands
# before it. A password in DATABASE_URL is seen by who sees the processes; one in PGPASSWORD or ~/.pgpass is not.
set -euo pipefail

usage() {
  cat >&2 <<'TEXT'
usage: DATABASE_URL=postgresql://…{service}… backup.sh COMMAND
  backup FOLDER SERVICE…    dump all databases as of one moment, while the city works
  restore FOLDER SERVICE…   put the dumps into empty databases, then do as `restored`
  restored SERVICE…         make restored databases ready to be worked on; also after a recovery to a point in time
  release SERVICE…          let events travel again, once every worker is ready
  forgotten SERVICE…        events of the last 30 days that one service has taken in and their source does not know
TEXT
  exit 2
}

# A relay that has not noticed yet that its lease was taken publishes for at most the 10 s that the lease was good for.
RELAY_SECONDS=11

url() { printf '%s' "${DATABASE_URL//\{service\}/$1}"; }

query() { psql -XAtq -v ON_ERROR_STOP=1 -d "$(url "$1")" -c "$2"; }

# Nobody publishes the service's events until this is released or the time is over; changes and their events go on being written.
hold() { # SERVICE WHO INTERVAL
  query "$1" "INSERT INTO lease (name, holder, expires_at) VALUES ('relay', '$2', now() + interval '$3')
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at"
}

release() { query "$1" "DELETE FROM lease WHERE name = 'relay' AND holder IN ('backup', 'restore')"; }

# Opens a transaction that stays open, and with it what every dump of it will see.
snapshot() { # SERVICE FOLDER
  local input
  mkfifo "$2/$1"
  psql -XAtq -v ON_ERROR_STOP=1 -d "$(url "$1")" <"$2/$1" >"$2/$1.snapshot" &
  exec {input}>"$2/$1"
  echo "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SELECT pg_export_snapshot();" >&"$input"
  until [ -s "$2/$1.snapshot" ]; do
    kill -0 $! || return 1
    sleep 0.1
  done
}

backup() { # FOLDER SERVICE…
  local folder=$1 service work
  shift
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # as they are now
  trap "rm -rf '$work'; for service in $*; do release \"\$service\" || true; done" EXIT
  for service; do hold "$service" backup '10 minutes'; done
  sleep $RELAY_SECONDS
  # Now no event passes from service to service: none is seen by its taker's dump and not by its source's.
  for service; do snapshot "$service" "$work"; done
  for service; do release "$service"; done
  mkdir -p "$folder"
  for service; do
    pg_dump --format=custom --no-owner --snapshot="$(<"$work/$service.snapshot")" --file="$folder/$service.dump" "$(url "$service")"
  done
}

restored() { # SERVICE
  # Whoever held a lease is gone. Events wait until all who listen have their queues in the empty broker.
  query "$1" "UPDATE lease SET expires_at = now()"
  hold "$1" restore '1 day'
  # What came after the backup was told with positions, and given numbers, that must not be used for anything else.
  query "$1" "UPDATE outbox SET position = position + 10000000 WHERE position = (SELECT max(position) FROM outbox)"
  if [ -n "$(query "$1" "SELECT to_regclass('counter')")" ]; then
    query "$1" "UPDATE counter SET value = value + 10000"
  fi
}

restore() { # FOLDER SERVICE…
  local folder=$1 service
  shift
  for service; do
    pg_restore --no-owner --single-transaction --exit-on-error --dbname="$(url "$service")" "$folder/$service.dump"
    restored "$service"
  done
}

forgotten() { # SERVICE…
  local service work
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # as it is now
  trap "rm -rf '$work'" EXIT
  for service; do
    query "$service" "SELECT event_id, handler, time FROM inbox WHERE time > now() - interval '30 days'" >>"$work/taken"
    query "$service" "SELECT event_id FROM outbox" >>"$work/known"
  done
  sort -o "$work/taken" "$work/taken"
  sort -o "$work/known" "$work/known"
  join -v 1 -t '|' "$work/taken" "$work/known"
}

command=${1-}
[ -n "${DATABASE_URL-}" ] || usage
case $command in
  backup | restore) [ $# -ge 3 ] || usage; shift; "$command" "$@" ;;
  restored | release) [ $# -ge 2 ] || usage; shift; for service; do "$command" "$service"; done ;;
  forgotten) [ $# -ge 2 ] || usage; shift; forgotten "$@" ;;
  *) usage ;;
esac
