# A demo merchant, its key, and the endpoint page's example.
# shellcheck shell=bash

business_id() { secret demo-business-id random_uuid; }
api_key() { cat "$local_dir/secrets/demo-api-key"; }

# Makes the merchant, the first time only: its key's plaintext is shown once and kept with the secrets.
make_merchant() {
    [ -s "$local_dir/secrets/demo-api-key" ] && return
    local business
    business=$(business_id)
    "$bin/capi" business put "$business" --name "Demo merchant" >/dev/null
    secret demo-access-token random_token \
        | "$bin/capi" channel put "$business" --waba-id 102290129340398 --dataset-id 1234567890123456 --access-token-file - >/dev/null
    secret demo-api-key new_key "$business" >/dev/null
}

new_key() {
    "$bin/capi" --json key create "$1" --name demo | python3 -c 'import json, sys; print(json.load(sys.stdin)["key"])'
}

# Makes the operator who signs in to the console, the first time only. The password is said once, and kept with the secrets.
make_operator() {
    [ -s "$local_dir/secrets/console-user" ] && return
    secret console-password random_password | "$bin/capi" user put operator --role operator >/dev/null
    secret console-user echo operator >/dev/null
    new_operator=yes
}

# The page's example, with the current time and an order id of its own.
example() { # order id
    cat <<JSON
{
  "cnct_tracking_id": "trk-demo",
  "event_name":       "Purchase",
  "sendout_id":       "sendout-demo",
  "attribution": { "meta_ctwa": { "ctwa_clid": "clid-demo-$1", "ad_id": "ad-demo" } },
  "payload": {
    "currency":  "USD",
    "value":     99.97,
    "order_id":  "$1",
    "content_type": "product",
    "content_ids":  ["data-pass-30d", "phone-case-blk"],
    "num_items":    2,
    "contents":  [
      { "id": "data-pass-30d",  "quantity": 1, "item_price": 49.99 },
      { "id": "phone-case-blk", "quantity": 1, "item_price": 49.98 }
    ],
    "event_time": $(date +%s)
  }
}
JSON
}

url() { echo "$endpoint/external/v1/businesses/$(business_id)/conversion_events"; }

send_example() { # order id -> the answer with its headers
    # The key comes from a file of settings: arguments can be read by everyone on the machine.
    example "$1" | curl -isS -X POST "$(url)" -H "Content-Type: application/json" --data-binary @- \
        --config <(printf 'header = "X-API-KEY: %s"\n' "$(api_key)")
}

sql() { curl -fsS "$clickhouse_url" --data-binary "$1"; }

row_of() { # call id: its row, once it is there
    local row
    for _ in $(seq 100); do
        row=$(sql "SELECT * FROM ${CAPI_CLICKHOUSE_DATABASE:-capi}.calls WHERE call_id = '$1' FORMAT Vertical")
        [ -n "$row" ] && { echo "$row"; return; }
        sleep 0.1
    done
    die "the call $1 has no row after 10 s: see make logs"
}

show_example() {
    local answer call
    say "sending the endpoint page's example to $(url)"
    answer=$(send_example ORD-7821)
    echo "$answer"
    echo
    call=$(tr -d '\r' <<<"$answer" | sed -n 's/^x-request-id: //Ip')
    say "its row in ClickHouse:"
    row_of "$call"
    touch "$local_dir/example-shown"
}

# Something to go on with: a curl that works as it stands, sends another order, and reads the key from its file.
show_curl() {
    cat <<CURL

Go on with:

curl -i -X POST "$(url)" \\
  -H "Content-Type: application/json" \\
  -H "X-API-KEY: \$(cat '$local_dir/secrets/demo-api-key')" \\
  -d '{
    "cnct_tracking_id": "trk-demo", "event_name": "Purchase", "sendout_id": "sendout-demo",
    "attribution": { "meta_ctwa": { "ctwa_clid": "clid-demo", "ad_id": "ad-demo" } },
    "payload": { "currency": "USD", "value": 12.50, "order_id": "'"ORD-\$(date +%s)"'", "event_time": '"\$(date +%s)"' }
  }'

curl -s '$clickhouse_url' --data-binary 'SELECT call_id, conversion_status, http_status, order_id, value FROM ${CAPI_CLICKHOUSE_DATABASE:-capi}.calls ORDER BY received_at DESC LIMIT 5 FORMAT PrettyCompact'
curl -s '$sandbox_url/sandbox/credited'
CURL
}

# The last line of all is where the console is.
show_console() {
    local password="the password is in $local_dir/secrets/console-password"
    [ -n "${new_operator:-}" ] && password="the password is $(cat "$local_dir/secrets/console-password")  (said this once; kept in $local_dir/secrets/console-password)"
    printf '\nThe console: sign in as %s; %s\n%s\n' "$(cat "$local_dir/secrets/console-user")" "$password" "$console_url"
}
