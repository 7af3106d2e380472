# `build.sh test`: every test there is, one line of counts at the end. Sourced by build.sh.

PASSED=0 FAILED=0

# stage NAME counts|single COMMAND…   Runs on after a failure; the sum and the exit code tell it.
# `counts` adds up what the command reports; `single` is one check that passes or fails.
stage() {
  local name=$1 kind=$2 log status=0 passed=0 failed=0
  shift 2
  log=.karta/test/${name// /-}.log
  step "$name"
  "$@" 2>&1 | tee "$log" || status=$?
  if [ "$kind" = counts ]; then
    # "test result: ok. 3 passed; 0 failed; …" (cargo, wasm-bindgen) and "3 passed, 0 failed" (tests/e2e, bench/sizes).
    passed=$(counted passed "$log") failed=$(counted failed "$log")
    # A command that breaks before it counts anything (it does not compile, it crashed) is a failure too.
    if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  elif [ "$status" = 0 ]; then passed=1; else failed=1; fi
  PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
  step "$name: $passed passed, $failed failed"
}

counted() { # counted passed|failed LOG
  awk -v what="$1" '/[0-9]+ passed[;,] [0-9]+ failed/ { for (i = 2; i <= NF; i++) if ($i ~ "^" what "[;,]?$") sum += $(i - 1) } END { print sum + 0 }' "$2"
}

# A copy, so that a build in another terminal does not change the server under a running test.
test_server() { build_server dev && cp "$SERVER_BIN" .karta/test/karta-server; }

cmd_test() {
  local long=
  case ${1:-} in
    --long) long=--long; export KARTA_TEST_LONG=1 ;;
    "") ;;
    *) die "unknown option: $1" ;;
  esac
  need_build
  need_browser
  need_voice
  need_turn
  want_php
  need_lints
  # A download of 0.9 GB, beside the builds: only the last stage needs it.
  need_pipecat &
  local pipecat=$!
  rm -rf .karta/test
  mkdir -p .karta/test

  # First the widget: the server embeds it. A bundle that does not build is a failure like any other; the rest still runs.
  stage "widget builds" single build_widget release
  stage "format" single cargo fmt --all --check
  stage "clippy" single cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
  stage "clippy wasm" single cargo clippy --locked -p karta --target wasm32-unknown-unknown --lib --test "*" --all-features --quiet -- -D warnings
  stage "native tests" counts cargo test --locked --workspace --no-fail-fast
  stage "in-browser tests" counts cargo test --locked -p karta --target wasm32-unknown-unknown --no-fail-fast --test "*"
  stage "size budgets" counts node bench/sizes.mjs --check
  stage "server builds" single test_server
  wait "$pipecat" || die "pipecat-ai could not be installed"
  stage "end to end" counts env KARTA_SERVER_BIN="$ROOT/.karta/test/karta-server" KARTA_PIPECAT_PYTHON="$TOOLS/pipecat/bin/python" node tests/e2e/run.mjs $long

  echo "$PASSED passed, $FAILED failed"
  [ "$FAILED" = 0 ]
}
