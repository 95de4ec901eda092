#!/bin/sh
# Makes a role and a database for each service, when the server starts on an empty volume for the first time.
# Afterwards it does nothing: a password is then changed with ALTER ROLE, as docs/operations.md shows.
set -eu

create() { # create SERVICE PASSWORD
    psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        -v role="$1" -v database="steward_$1" -v password="$2" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"role" TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
}

create user_service "$USER_SERVICE_DATABASE_PASSWORD"
create cleanup_service "$CLEANUP_SERVICE_DATABASE_PASSWORD"
create task_service "$TASK_SERVICE_DATABASE_PASSWORD"
create delivery_service "$DELIVERY_SERVICE_DATABASE_PASSWORD"
