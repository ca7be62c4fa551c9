#!/usr/bin/env bash
# Does the differential fuzzer find what is wrong? Each patch here is a fault put into the engine; a copy of the tree gets it, is built,
# and the fuzzer has five minutes to see a difference. Prints for each fault how long that took.
#   spec-tests/faults/run.sh [PART_OF_A_NAME...]
# The copy is the committed state, in a folder of its own under the target directory, which it builds into as well. PROFILE=dev takes
# the profile of tests instead of the one of releases; SECONDS_EACH is how long the fuzzer has.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
export CARGO_TERM_COLOR=never
PROFILE=${PROFILE:-release}
# As a test is built: the packages are those that tests have built already.
profile=${PROFILE/dev/test}
built=$CARGO_TARGET_DIR/${PROFILE/dev/debug}/mini-wasm-spec-tests
work=$CARGO_TARGET_DIR/faults
copy=$work/tree
mkdir -p "$work"
git -C "$root" worktree remove --force "$copy" 2>/dev/null
git -C "$root" worktree prune
git -C "$root" worktree add -q --force --detach "$copy" HEAD || exit 2
trap 'git -C "$root" worktree remove --force "$copy"' EXIT
SECONDS_EACH=${SECONDS_EACH:-300}
missed=0
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
  if ! (cd "$copy" && cargo test -q --profile "$profile" -p mini-wasm-spec-tests --no-run --test differential) >"$work/$name.log" 2>&1; then
    printf '%-22s %10s  it does not build: see %s\n' "$name" - "$work/$name.log"
    missed=1
    continue
  fi
  cp "$built" "$work/fuzzer"
  begin=$(date +%s.%N)
  timeout $((SECONDS_EACH + 120)) "$work/fuzzer" diff --time "$SECONDS_EACH" --seed 1 --counted 0 \
    --folder "$work/found-$name" >"$work/$name.log" 2>&1
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
