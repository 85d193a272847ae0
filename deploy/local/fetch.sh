# Downloads, once for all stacks of this machine: into a folder beside, then renamed, under a lock.
# shellcheck shell=bash

fetch_once() { # name fill-function -> path of the folder
    local name=$1 fill=$2 dir="$cache_dir/$1"
    if [ ! -d "$dir" ]; then
        (
            flock 9
            if [ ! -d "$dir" ]; then
                say "fetching $name"
                rm -rf "$dir.part"
                mkdir -p "$dir.part"
                "$fill" "$dir.part" >"$dir.log" 2>&1 || { tail -n 20 "$dir.log" >&2; die "cannot fetch $name; the log is $dir.log"; }
                mv "$dir.part" "$dir"
            fi
        ) 9>"$cache_dir/$name.lock"
    fi
    [ -d "$dir" ] && echo "$dir"
}

# The name says what is in it, so that a new version is a new folder.
fingerprint() { sha256sum "$1" | cut -c1-12; }

copy_dependencies=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies
fill_kafka() { mvn -q -B -f "$here/pom.xml" "$copy_dependencies" -DoutputDirectory="$1"; }
fetch_kafka() { fetch_once "kafka-$(fingerprint "$here/pom.xml")" fill_kafka; }

# A virtual environment holds its own path, so it is made where it stays: the marker file says that it is whole.
fetch_python() {
    local dir
    dir="$cache_dir/python-$(fingerprint "$here/requirements.txt")"
    (
        flock 9
        if [ ! -f "$dir/whole" ]; then
            say "fetching ClickHouse's engine"
            rm -rf "$dir"
            { python3 -m venv "$dir" && "$dir/bin/pip" install -q --disable-pip-version-check --no-deps -r "$here/requirements.txt"; } \
                >"$dir.log" 2>&1 || { tail -n 20 "$dir.log" >&2; die "cannot fetch ClickHouse's engine; the log is $dir.log"; }
            touch "$dir/whole"
        fi
    ) 9>"$dir.lock"
    echo "$dir/bin/python"
}
