#!/usr/bin/env bash
# Runs tests under Miri, which interprets the program and finds what Rust calls undefined behaviour: an access outside
# what a pointer was made from, a race, a value of no type.
#
#   scripts/miri.sh [lib|pools|random]...      all three, if none is named; each takes some ten minutes
#
# Exit codes: 0 if nothing was found, 1 if a run failed, 2 if something it needs is missing.
#
# What Miri does not know is the kernel's part and the assembler's: mappings are allocations of Rust's there
# (src/ground/sys/interpreted.rs), of 32 MiB at most, and a thread's own variable is std's
# (src/global/local/interpreted.rs). There is no program break. MIRIFLAGS are handed on: -Zmiri-tree-borrows, for example.
set -uo pipefail
cd "$(dirname "$0")/.."

# As cargo is asked for it below: a nightly of some other day is not it. Nothing is installed for the question.
if ! rustup run nightly cargo miri --version >/dev/null 2>&1; then
    echo "miri: it is missing (rustup component add miri --toolchain nightly)" >&2
    exit 2
fi

# Addresses are numbers in a header. Inputs are files, and times are asked for. What lasts for good in a program is not
# given back at its end.
export MIRIFLAGS="-Zmiri-permissive-provenance -Zmiri-disable-isolation -Zmiri-ignore-leaks ${MIRIFLAGS-}"

run() {
    echo "== cargo miri test $* =="
    cargo +nightly miri test --target-dir target/miri-tests "$@"
}

failed=()
[ $# -gt 0 ] || set -- lib pools random
for name in "$@"; do
    case $name in
        # The magazines, spans and other parts of Global.
        lib) run --lib -- global::magazine global::shelf global::span global::states global::thread memory:: ;;
        # Collections and values in every kind of pool, and rows with several threads, on locks and without.
        pools) run --test pools -- collections:: in_buffer::holds_strict threads::f02 threads::f07 threads::values \
            treiber::damaged treiber::slots treiber::what ;;
        # Any bytes as programs: heap, pools, pure values and Global.
        random) run -p tagheap-fuzz --test random ;;
        *)
            echo "usage: scripts/miri.sh [lib|pools|random]..." >&2
            exit 2
            ;;
    esac
    [ $? = 0 ] || failed+=("$name")
done

if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
echo "nothing was found"
