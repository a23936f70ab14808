#!/bin/bash
# Run by the image of PostgreSQL when it makes the database: the role and the schema of
# docs/how-to/use-postgresql.md, and no right beyond.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -v password="$(</run/secrets/state_password)" --username postgres \
  --dbname plant <<'SQL'
CREATE ROLE millrace LOGIN PASSWORD :'password';
CREATE SCHEMA millrace AUTHORIZATION millrace;
SQL
