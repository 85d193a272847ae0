# The pipeline's own programs: how each is started, and where it says how it is.
# shellcheck shell=bash

ingest_listen=${CAPI_LISTEN:-0.0.0.0:8080}
ingest_admin=${CAPI_LOCAL_INGEST_ADMIN:-127.0.0.1:8081}
forwarder_admin=${CAPI_LOCAL_FORWARDER_ADMIN:-127.0.0.1:8082}
recorder_admin=${CAPI_LOCAL_RECORDER_ADMIN:-127.0.0.1:8083}
console_listen=${CAPI_LOCAL_CONSOLE:-0.0.0.0:8084}
console_admin=${CAPI_LOCAL_CONSOLE_ADMIN:-127.0.0.1:8085}
endpoint="http://127.0.0.1:${ingest_listen##*:}"
console_url="http://127.0.0.1:${console_listen##*:}"
clickhouse_url="http://127.0.0.1:$clickhouse_port"
sandbox_url="http://127.0.0.1:$sandbox_port"
bin="$repo/target/release"

# What every program of this deployment is told.
settings() {
    CAPI_SECRET_KEY=$(secret secret-key random_key)
    export CAPI_SECRET_KEY
    export CAPI_KAFKA_BROKERS="127.0.0.1:$kafka_port" CAPI_CLICKHOUSE_URL="$clickhouse_url" CAPI_META_URL="$sandbox_url"
    export CAPI_LOG_FORMAT="${CAPI_LOG_FORMAT:-json}"
}

is_ready() { # admin address
    curl -fsS --max-time 2 "http://$1/readyz"
}

start_sandbox() {
    pid_of sandbox >/dev/null && return
    start sandbox env CAPI_SANDBOX_LISTEN="127.0.0.1:$sandbox_port" "$bin/capi-meta-sandbox"
    wait_for sandbox 10 curl -fsS --max-time 2 "$sandbox_url/sandbox/stats"
}

start_ingest() {
    pid_of ingest >/dev/null || start ingest env CAPI_LISTEN="$ingest_listen" CAPI_ADMIN_LISTEN="$ingest_admin" "$bin/capi-ingest"
}

start_forwarder() {
    pid_of forwarder >/dev/null \
        || start forwarder env CAPI_ADMIN_LISTEN="$forwarder_admin" CAPI_INSTANCE=forwarder-0 "$bin/capi-forwarder"
}

start_recorder() {
    pid_of recorder >/dev/null \
        || start recorder env CAPI_ADMIN_LISTEN="$recorder_admin" CAPI_INSTANCE=recorder-0 "$bin/capi-recorder"
}

start_console() {
    pid_of console >/dev/null || start console env CAPI_LISTEN="$console_listen" CAPI_ADMIN_LISTEN="$console_admin" \
        CAPI_ENDPOINT_URL="$endpoint" "$bin/capi-console"
}

start_workers() {
    start_recorder
    start_forwarder
    start_ingest
    start_console
    wait_for recorder 60 is_ready "$recorder_admin"
    wait_for forwarder 60 is_ready "$forwarder_admin"
    wait_for ingest 60 is_ready "$ingest_admin"
    wait_for console 60 is_ready "$console_admin"
}
