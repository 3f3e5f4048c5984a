# Shared by the scripts of this folder: where things are, progress lines, and the end of processes we started.
# Sourced by bash, not run.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One cache for all clones: the Python packages and the tiny models are the same everywhere.
cache=${SLUICE_CACHE:-${XDG_CACHE_HOME:-${HOME:-$project/.cache}/.cache}/sluice}

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# Prints the header comment of the calling script (from line 2 to the first line that is not a comment).
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; }

# step TEXT COMMAND...: runs the command between a line that says what begins and one that says how long it took.
step() {
    local text=$1 start=$SECONDS
    shift
    say "==> $text"
    "$@" || {
        local status=$?
        say "==> $text: FAILED after $((SECONDS - start)) s"
        return $status
    }
    say "==> $text: $((SECONDS - start)) s"
}

# The virtual environment that scripts/setup makes; another list of packages is another folder.
environment=$cache/python-$(cksum <"$project/scripts/requirements.txt" | cut -d' ' -f1)
python=$environment/bin/python

# Processes started by `background`, ended by `end_background` in reverse order: by id, never by name.
started=()
background() {
    if command -v setpriv >/dev/null; then
        setpriv --pdeathsig TERM -- "$@" & # ends with this script even when that is killed
    else
        "$@" &
    fi
    started+=($!)
}
end_background() {
    local i pid
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        pid=${started[i]}
        kill -TERM "$pid" 2>/dev/null || continue
        for _ in {1..50}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    started=()
}

# wait_for_url FILE PID SECONDS [NOT]: prints the first http://127.0.0.1:PORT other than NOT that the process wrote.
wait_for_url() {
    local file=$1 pid=$2 tries=$(($3 * 20)) not=${4:-} url
    for ((; tries > 0; tries--)); do
        url=$(grep -o 'http://127\.0\.0\.1:[0-9]*' "$file" | grep -vxF "$not" | head -n 1) || true
        [ -z "$url" ] || { printf '%s\n' "$url" && return 0; }
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

# swift_test OPTIONS...: runs the tests; prints the count, or what failed.
swift_test() {
    local log
    log=$(mktemp)
    if swift test --disable-xctest "$@" >"$log" 2>&1; then
        grep 'Test run with' "$log" >&2
        rm "$log"
    else
        # Issues with what belongs to them; what the compiler or a sanitizer says stands outside the tests' own lines.
        grep -E '^(✘|↳) ' "$log" | head -n 200 >&2 || true
        grep -vE '^(✘|↳|✔|◇) ' "$log" | tail -n 60 >&2 || true
        rm "$log"
        return 1
    fi
}

# The program as it is released: the runtimes of Swift and C++ inside, nothing exported, equal code once, no symbols, and
# the sections packed: a fifth less of file and of memory, when it was measured. Ends in $project/.build/release/sluice.
build_release() { link_release -Xlinker -s; }

# The same, with its symbols and with further options. What runs lies together, by Benchmarks/link-order: the system reads
# code in pieces of 64 KiB, and an idle process holds 0.7 MiB less of it.
link_release() {
    local static=$project/.build/static library
    mkdir -p "$static"
    for library in libstdc++.a libgcc_eh.a; do
        ln -sf "$(clang -print-file-name=$library)" "$static/$library"
    done
    swift build --package-path "$project" -c release --product sluice --static-swift-stdlib \
        -Xswiftc -use-ld=lld -Xswiftc "-L$static" -Xlinker -l:libgcc_eh.a \
        -Xlinker --no-export-dynamic -Xlinker --icf=all \
        -Xlinker "--symbol-ordering-file=$project/scripts/link-order.txt" -Xlinker --no-warn-symbol-ordering \
        -Xlinker -z -Xlinker noseparate-code -Xlinker -z -Xlinker max-page-size=4096 "$@"
}

# Debian's compiler or the one that comes with Swift.
build_benchmarks() {
    command -v cc >/dev/null && make -sC "$project/Benchmarks" || make -sC "$project/Benchmarks" CC=clang
}
