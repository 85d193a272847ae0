# Background processes by name: started once, found again, ended by their own id. A pid file holds the process's start
# time as well, so that a recycled pid is never taken for ours.
# shellcheck shell=bash

started_at() { # pid -> the process's start time in clock ticks, or nothing
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name in parentheses may hold spaces: fields are counted behind it. Field 22 of the whole is 20 of the rest.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    # One that has ended and that nobody has asked about yet runs no more.
    [ "$1" != Z ] && echo "${20}"
}

pid_of() { # name -> the running process's pid, or nothing
    local pid since
    read -r pid since 2>/dev/null <"$local_dir/run/$1.pid" || return 1
    [ -n "$since" ] && [ "$(started_at "$pid")" = "$since" ] && echo "$pid"
}

starting() { # name : until this script ends, no other starts the same
    exec 8>"$local_dir/run/$1.lock"
    flock 8
}

start() { # name command… : in the background, in a session of its own, without the lock
    local name=$1 pid
    shift
    setsid "$@" </dev/null >>"$local_dir/logs/$name.log" 2>&1 8>&- &
    pid=$!
    disown "$pid" 2>/dev/null || true
    printf '%s %s\n' "$pid" "$(started_at "$pid")" >"$local_dir/run/$name.pid"
}

stop() { # name [seconds]: TERM, and KILL after the seconds
    local name=$1 patience=${2:-30} pid
    pid=$(pid_of "$name") || { rm -f "$local_dir/run/$name.pid"; return 0; }
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq $((patience * 10))); do
        pid_of "$name" >/dev/null || break
        sleep 0.1
    done
    if pid=$(pid_of "$name"); then
        say "$name did not end within $patience s and is killed"
        kill -KILL "$pid" 2>/dev/null || true
        while pid_of "$name" >/dev/null; do sleep 0.1; done
    fi
    rm -f "$local_dir/run/$name.pid"
}

wait_for() { # name seconds command… : until the command succeeds; fails early where the process is gone
    local name=$1 patience=$2
    shift 2
    for _ in $(seq $((patience * 10))); do
        "$@" >/dev/null 2>&1 && return 0
        pid_of "$name" >/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$local_dir/logs/$name.log" >&2 || true
    die "$name did not come up; its log is $local_dir/logs/$name.log"
}
