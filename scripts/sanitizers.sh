#!/usr/bin/env bash
# Runs the tests under AddressSanitizer and ThreadSanitizer, which only the nightly toolchain has.
#
#   scripts/sanitizers.sh [address|thread]...      both, if none is named
#
# Exit codes: 0 if nothing was found, 1 if a run failed, 2 if something it needs is missing.
#
# AddressSanitizer is told besides which pieces tests hold, of the heap, of every kind of pool and of Global: a byte of
# them that the library reads or writes is found, unless the piece is given to it, to be resized or to go.
#
# What they see: what is compiled here. The standard library is not; what of it is known to look like a fault to
# ThreadSanitizer stands in scripts/tsan.txt, each with its reason. Tests run one by one, for what the test
# harness orders by such means is not seen either. Forks are left out of it: a child has one thread, and none of
# the sanitizer's.
#
# Of the global allocator's tests AddressSanitizer cannot live with five: limits of the process below what its own
# memory takes, threads that end without the C library, the smallest stack, too small for its frames, and a program with
# more rights than its user, where it reads no options and looks for leaks; nor is there time for one that goes by single
# steps, through its instructions, too. ThreadSanitizer runs those whose threads know of
# each other by what is compiled here; in the others std's barriers and scopes stand in between, or signal handlers.
set -uo pipefail
cd "$(dirname "$0")/.."

TARGET=x86_64-unknown-linux-gnu
# Tests hide the pieces they hold: `Hidden` in crates/trace.
HIDING=--cfg=asan

# As cargo is asked for it below: a nightly of some other day is not it. Nothing is installed for the question.
if ! rustup run nightly cargo --version >/dev/null 2>&1; then
    echo "sanitizers: the nightly toolchain is missing (rustup toolchain install nightly)" >&2
    exit 2
fi

run() {
    local name=$1 flags=$2
    shift 2
    echo "== $name: cargo test $* =="
    # For a target named, flags are for the program alone, not for build scripts and macros. Each sanitizer has
    # a folder of its own, or each run would compile everything again.
    RUSTFLAGS="-Zsanitizer=$name $flags" \
        ASAN_OPTIONS="detect_leaks=0:allow_user_segv_handler=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}" \
        TSAN_OPTIONS="halt_on_error=0:exitcode=66:suppressions=$PWD/scripts/tsan.txt${TSAN_OPTIONS:+:$TSAN_OPTIONS}" \
        cargo +nightly test --target "$TARGET" --target-dir "target/sanitizers/$name" "$@"
}

failed=()
[ $# -gt 0 ] || set -- address thread
for name in "$@"; do
    case $name in
        # Every path on which memory is handed out and taken back.
        address)
            run address "$HIDING" --lib --test pools --test gauntlet --test accounts &&
                run address "$HIDING" --test global -- --skip limits::b02_b03 --skip f07_threads_whose_end \
                    --skip small_stack:: --skip more_rights_than_its_user --skip instruction_of_spans_that_come ;;
        # Rows with several threads.
        thread)
            run thread "-Cunsafe-allow-abi-mismatch=sanitizer" --test pools -- --test-threads=1 \
                locks:: threads:: treiber:: timed:: signals:: &&
                run thread "-Cunsafe-allow-abi-mismatch=sanitizer" --test global -- --test-threads=1 \
                    races:: magazines:: passed:: ;;
        *) echo "sanitizers: no sanitizer is called $name: address, thread" >&2; exit 2 ;;
    esac || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "sanitizers: FAILED: ${failed[*]}" >&2
    exit 1
fi
echo "sanitizers: $* found nothing"
