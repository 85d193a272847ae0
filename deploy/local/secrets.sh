# The demo's secrets: made once, kept between runs, readable by nobody else.
# shellcheck shell=bash

secret() { # name command… : the secret's text, made by the command the first time
    local file="$local_dir/secrets/$1"
    shift
    [ -s "$file" ] || (umask 077; "$@" >"$file.part" && mv "$file.part" "$file")
    cat "$file"
}

random_key() { head -c 32 /dev/urandom | base64; }
random_token() { printf 'EAAdemo%s' "$(head -c 24 /dev/urandom | base64 | tr -dc 'A-Za-z0-9')"; }
random_password() { head -c 18 /dev/urandom | base64 | tr '+/' '-_'; }
random_uuid() { cat /proc/sys/kernel/random/uuid; }
