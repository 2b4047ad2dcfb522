#!/usr/bin/env bash
# Has libFuzzer look for programs that a heap, a pool or Global does not do as its model says: crates/fuzz.
#
#   scripts/fuzz.sh [heap|pools|words|global] [SECONDS]    all four by turns, if none is named; a minute each
#   scripts/fuzz.sh heap|pools|words|global FILE...        those inputs, and nothing else
#
# Exit codes: 0 if nothing was found, 1 if something was, 2 if something it needs is missing.
#
# Inputs that reached something new are kept in target/fuzz/corpus, and the next run begins with them. One that found
# something is in target/fuzz/found; shortened, and put into crates/fuzz/inputs, it stays a test:
#
#   scripts/fuzz.sh heap target/fuzz/found/heap-crash-...                        says what is wrong
#   TAGHEAP_TELL=1 scripts/fuzz.sh heap target/fuzz/found/heap-crash-...         and what was done before
#
# cargo-fuzz, where it is installed, takes `--fuzz-dir crates/fuzz/targets`; nothing here needs it.
set -uo pipefail
FROM=$PWD
cd "$(dirname "$0")/.."

TARGET=x86_64-unknown-linux-gnu
TARGETS=(heap pools words global)
FOLDER=target/fuzz
# Counts which edges of the program were taken how often, and what was compared with what.
COVERAGE="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares"

missing() {
    echo "fuzz: $1" >&2
    exit 2
}

seconds=60
files=()
case ${1-} in
    heap | pools | words | global)
        TARGETS=("$1")
        shift
        ;;
esac
if [[ ${1-} =~ ^[0-9]+$ ]]; then
    seconds=$1
elif [ $# -gt 0 ]; then
    [ ${#TARGETS[@]} = 1 ] || missing "no harness is called $1: ${TARGETS[*]}"
    for file in "$@"; do
        [[ $file = /* ]] || file=$FROM/$file
        [ -f "$file" ] || missing "there is no input $file"
        files+=("$file")
    done
fi

# As cargo is asked for it below: a nightly of some other day is not it. Nothing is installed for the question.
rustup run nightly cargo --version >/dev/null 2>&1 ||
    missing "the nightly toolchain is missing (rustup toolchain install nightly)"
command -v c++ >/dev/null || command -v g++ >/dev/null ||
    missing "a C++ compiler is missing (g++), which libFuzzer is built by"

echo "== building ${TARGETS[*]} =="
for name in "${TARGETS[@]}"; do
    RUSTFLAGS="$COVERAGE --cfg fuzzing" cargo +nightly build --release --target "$TARGET" \
        --manifest-path crates/fuzz/targets/Cargo.toml --target-dir "$FOLDER/build" --bin "$name" || exit 1
done

mkdir -p "$FOLDER/found"
failed=()
for name in "${TARGETS[@]}"; do
    run=("$FOLDER/build/$TARGET/release/$name" -timeout=60 -rss_limit_mb=4096
        "-artifact_prefix=$FOLDER/found/$name-")
    if [ ${#files[@]} -gt 0 ]; then
        "${run[@]}" "${files[@]}" || failed+=("$name")
        continue
    fi
    echo "== $name, $seconds seconds =="
    mkdir -p "$FOLDER/corpus/$name"
    "${run[@]}" -max_total_time="$seconds" -max_len=2048 -len_control=20 -print_final_stats=1 \
        "$FOLDER/corpus/$name" "crates/fuzz/inputs/$name" || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "fuzz: FAILED: ${failed[*]}" >&2
    exit 1
fi
echo "fuzz: ${TARGETS[*]} found nothing"
