# The tools that building and running needs: installed where the user may, named where not.
# shellcheck shell=bash

# tool, the Debian package that has it, and how to tell that it is there.
tools() {
    cat <<'TOOLS'
curl curl command -v curl
java openjdk-17-jdk-headless java_is_new_enough
mvn maven command -v mvn
python3 python3-venv python_makes_environments
cc build-essential command -v cc
make make command -v make
pkg-config pkg-config command -v pkg-config
flock util-linux command -v flock
openssl openssl command -v openssl
openssl-headers libssl-dev pkg-config --exists openssl
zlib-headers zlib1g-dev pkg-config --exists zlib
TOOLS
    # What the script that asks needs besides.
    echo "${more_tools:-}"
}

java_is_new_enough() {
    local version
    version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

python_makes_environments() {
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))'
}

# The toolchain's version stands in rust-toolchain.toml: rustup follows it, any other cargo has to be as new.
rust_is_new_enough() {
    local wanted found
    wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$repo/rust-toolchain.toml")
    found=$(cd "$repo" && rustc --version | cut -d' ' -f2) && (cd "$repo" && cargo --version) >/dev/null || return
    printf '%s\n' "$wanted" "$found" | sort -C -V
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true; } >/dev/null 2>&1
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q "$@" </dev/null >>"$local_dir/logs/apt.log" 2>&1; }

missing_tools() { # prints the tool and its package, a line each
    local tool package check
    while read -r tool package check; do
        eval "$check" >/dev/null 2>&1 || echo "$tool $package"
    done < <(tools)
}

require_tools() {
    local missing packages
    [ "$(uname -s)" = Linux ] || die "the local stack runs on Linux; elsewhere use containers: docker compose up --build"
    missing=$(missing_tools)
    if [ -n "$missing" ]; then
        packages=$(cut -d' ' -f2 <<<"$missing" | sort -u | tr '\n' ' ')
        may_install || die "these are missing: $(cut -d' ' -f1 <<<"$missing" | tr '\n' ' ')
On Debian or Ubuntu install them with: sudo apt-get install -y $packages
Elsewhere: Java 17 or newer, Maven, Python 3.9 or newer with venv, a C compiler, make, pkg-config, OpenSSL's and zlib's headers."
        say "installing $packages"
        # A list that cannot be brought up to date may still name what is needed.
        apt_get update || true
        # shellcheck disable=SC2086
        apt_get install $packages || die "cannot install $packages; the log is $local_dir/logs/apt.log"
        missing=$(missing_tools)
        [ -z "$missing" ] || die "still missing after the installation: $missing"
    fi
    require_rust
}

require_rust() {
    # shellcheck source=/dev/null
    [ -f "$HOME/.cargo/env" ] && source "$HOME/.cargo/env"
    rust_is_new_enough 2>>"$local_dir/logs/rustup.log" && return
    if ! command -v rustup >/dev/null; then
        say "installing rustup"
        { may_install && apt_get install rustup; } \
            || die "Rust is missing, or older than rust-toolchain.toml asks: install rustup (https://rustup.rs) and run this again"
    fi
    say "installing the Rust toolchain of rust-toolchain.toml"
    (cd "$repo" && rustup toolchain install) >>"$local_dir/logs/rustup.log" 2>&1
    rust_is_new_enough 2>>"$local_dir/logs/rustup.log" || die "cannot install the Rust toolchain; the log is $local_dir/logs/rustup.log"
}
