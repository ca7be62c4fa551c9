#!/usr/bin/env bash
# Does the differential fuzzer find what is wrong? Each patch here is a fault put into the engine; a copy of the tree gets it, is built,
# and the fuzzer has five minutes to see a difference. Prints for each fault how long that took.
#   spec-tests/faults/run.sh [PART_OF_A_NAME...]
# The copy is the committed state, in a folder of its own under the target directory; it builds into a folder of its own, since what
# another tree builds has the same name there and would be tried in its place. The state without a fault is tried first, for a
# fuzzer that always finds something finds nothing. PROFILE=dev takes the profile of tests instead of the one of releases;
# SECONDS_EACH is how long the fuzzer has.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
export CARGO_TERM_COLOR=never
PROFILE=${PROFILE:-release}
work=${CARGO_TARGET_DIR:-$root/target}/faults
# FOLDER may be one in which dependencies are built already and nobody else builds meanwhile.
export CARGO_TARGET_DIR=${FOLDER:-$work/target}
# A fault is a line: what did not change is taken from the build before.
export CARGO_INCREMENTAL=1
built=$CARGO_TARGET_DIR/${PROFILE/dev/debug}/mini-wasm-spec-tests
copy=$work/tree
mkdir -p "$work"
git -C "$root" worktree remove --force "$copy" 2>/dev/null
git -C "$root" worktree prune
git -C "$root" worktree add -q --force --detach "$copy" HEAD || exit 2
trap 'git -C "$root" worktree remove --force "$copy"' EXIT
SECONDS_EACH=${SECONDS_EACH:-300}
missed=0
build() {
  (cd "$copy" && cargo build -q --locked --profile "$PROFILE" -p mini-wasm-spec-tests) >"$work/$1.log" 2>&1 && cp "$built" "$work/fuzzer"
}

# What the fuzzer says: 0 when it sees no difference.
fuzz() {
  timeout $(($2 + 120)) "$work/fuzzer" diff --time "$2" --seed 1 --counted 0 --folder - >"$work/$1.log" 2>&1
}

build none || { echo "the tree does not build: see $work/none.log"; exit 2; }
# Each binary must be another than all before.
sums=$(sha256sum <"$work/fuzzer")
fuzz none 20 || { echo "there are differences without any fault: see $work/none.log"; exit 2; }
printf '%-22s %10s  %s\n' fault 'found in' what
for patch in "$here"/*.patch; do
  name=$(basename "$patch" .patch)
  if [ $# -gt 0 ]; then
    wanted=
    for part; do [[ $name == *$part* ]] && wanted=1; done
    [ -n "$wanted" ] || continue
  fi
  git -C "$copy" checkout -q --force HEAD -- .
  if ! patch -s -p1 -F3 --no-backup-if-mismatch -d "$copy" <"$patch"; then
    printf '%-22s %10s  the patch does not apply\n' "$name" -
    missed=1
    continue
  fi
  if ! build "$name"; then
    printf '%-22s %10s  it does not build: see %s\n' "$name" - "$work/$name.log"
    missed=1
    continue
  fi
  sum=$(sha256sum <"$work/fuzzer")
  if [[ $sums == *"$sum"* ]]; then
    printf '%-22s %10s  the fault is not in what was built\n' "$name" -
    missed=1
    continue
  fi
  sums+=$sum
  begin=$(date +%s.%N)
  fuzz "$name" "$SECONDS_EACH"
  status=$?
  took=$(sed -n 's/^difference after \([0-9.]*\) s.*/\1/p' "$work/$name.log" | head -1)
  case $status in
    0) found=- how='NOT FOUND'; missed=1 ;;
    1) found="$took s" how=$(head -1 "$patch") ;;
    124) found=- how='NOT FOUND: a run does not end'; missed=1 ;;
    # A fault may let a guest break the process: that is seen, too.
    *) found="$(echo "$(date +%s.%N) - $begin" | bc | cut -c1-5) s" how="$(head -1 "$patch") (the process ended with $status)" ;;
  esac
  printf '%-22s %10s  %s\n' "$name" "$found" "$how"
done
exit $missed
