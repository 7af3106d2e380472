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

# linted COMMAND…   Cargo, with clippy as the compiler of our own crates and its warnings as errors. One pass instead of two: `cargo clippy` compiles
# every dependency a second time, for checking only, which is five minutes on two cores.
linted() {
  if [ -n "$CLIPPY" ]; then RUSTC_WORKSPACE_WRAPPER=$CLIPPY CLIPPY_ARGS=-Dwarnings "$@"; else "$@"; fi
}

# Clippy compiles, so it has to be of the very rustc in use: one of another version would compile crates that no other can read. And it has to run: rustup's
# proxy stands in the PATH whether or not there is a clippy behind it.
find_clippy() {
  local version
  need_lints
  version=$(rustc -vV)
  for CLIPPY in "$(rustup which clippy-driver 2>/dev/null)" "$(command -v clippy-driver)"; do
    if [ -n "$CLIPPY" ] && [ "$("$CLIPPY" --rustc -vV 2>/dev/null)" = "$version" ]; then return; fi
  done
  CLIPPY=
  warn "no clippy of this rustc: the tests run without lints"
}

# What is loaded and not built: browsers, speech, a relay, a Pipecat. Only the tests that run later need them.
packages() {
  local part missing=0
  for part in want_strace need_browser want_firefox need_voice need_turn want_php need_openai_client need_python need_pipecat; do
    # In a shell of its own: what cannot be had does not take away what comes after it.
    ("$part") || missing=1
  done
  return $missing
}

# beside FUNCTION   Runs it at the same time, as a process group of its own: a background child of a script does not hear Ctrl-C.
beside() {
  set -m
  "$1" >&2 </dev/null &
  set +m
  BESIDE+=("$!")
}
BESIDE=()
end_beside() {
  local group
  for group in "${BESIDE[@]}"; do kill -- "-$group" 2>/dev/null || true; done
}

# The tools first, which the bundles wait for; then the smaller half, so that the larger one ends with crates that can be compiled side by side.
compile() { need_test_tools && { compile_wasm || true; } && compile_native; }
compile_native() { linted cargo test --locked --profile "$PROFILE" --workspace --no-run; }
# All features: the lints see every line, and a panic in a test can be read.
compile_wasm() { linted cargo test --locked -p karta --target wasm32-unknown-unknown --all-features --no-run --test "*"; }
# Half of them wait for the disk or the clock: more at a time than there are processors.
native_tests() { RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(getconf _NPROCESSORS_ONLN)))} linted cargo test --locked --profile "$PROFILE" --workspace --no-fail-fast; }
# The driver looks for a browser by itself, and not for each that need_browser knows: it is told which.
wasm_tests() {
  node -e 'const file = require("./webdriver.json"); file["goog:chromeOptions"].binary = process.env.CHROMIUM; console.log(JSON.stringify(file))' >.karta/test/webdriver.json &&
    WASM_BINDGEN_TEST_WEBDRIVER_JSON=$ROOT/.karta/test/webdriver.json linted cargo test --locked -p karta --target wasm32-unknown-unknown --all-features --no-fail-fast --test "*"
}

# tested_widget PID   The bundles, whose glue is made by a tool that is compiled beside, by that process.
tested_widget() {
  local compiled=$1
  wait_for_glue() {
    until tools_stand || ! kill -0 "$compiled" 2>/dev/null; do sleep 1; done
    need_test_tools
  }
  build_widget release wait_for_glue
}

end_to_end() {
  env KARTA_SERVER_BIN="$ROOT/.karta/test/karta-server" KARTA_PIPECAT_PYTHON="$TOOLS/pipecat/bin/python" KARTA_OPENAI_CLIENT="$TOOLS/openai-client" \
    node tests/e2e/run.mjs "$@"
}

# Without what this machine may have installed for its own Python.
python_client() { env KARTA_SERVER_BIN="$ROOT/.karta/test/karta-server" python3 -I -B clients/python/tests/run.py; }

release() { cmd_release && node tests/release.mjs dist/karta-server; }

# Two things at a time wherever one waits, for the network or for the clock of a call: one after the other, this takes half an hour on two cores.
cmd_test() {
  local long='' PROFILE=dev built=debug
  case ${1:-} in
    # Ten million packets take half an hour of code that is not optimised.
    --long) long=--long PROFILE=long built=long; export KARTA_TEST_LONG=1 ;;
    "") ;;
    *) die "unknown option: $1" ;;
  esac
  need_rust
  need_node
  find_clippy
  rm -rf .karta/test
  mkdir -p .karta/test

  # Cargo keeps what it needs to compile a crate again in less time only for who will: from an empty folder it is a tenth more to do.
  [ -d "$TARGET/debug/incremental" ] || export CARGO_INCREMENTAL=0

  stage "build scripts" counts node tests/scripts.mjs

  trap end_beside EXIT
  beside packages
  local packages=$!
  beside compile
  local compiled=$!
  # The server serves it. A bundle that does not build is a failure like any other; the rest still runs.
  stage "widget builds" single tested_widget "$compiled"
  stage "size budgets" counts node bench/sizes.mjs --check
  stage "npm package builds, types hold" single build_npm
  if cargo fmt --version >/dev/null 2>&1; then stage "format" single cargo fmt --all --check; else warn "no rustfmt: the format is not checked"; fi
  step "Compiling the tests, with lints"
  # What does not compile or has a warning fails once more below, in the stage that it belongs to.
  wait "$compiled" || true
  stage "native tests" counts native_tests
  # The binary that those tests ran; a copy, so that a build in another terminal does not change it.
  stage "server builds" single cp "$TARGET/$built/karta-server" .karta/test/karta-server
  step "Waiting for what the tests load"
  local loaded=0
  wait "$packages" || loaded=$?
  # What needs what is not there fails by itself, and says so; the rest still runs.
  stage "packages" single test "$loaded" = 0
  find_browser || warn "no browser"
  stage "Python client" counts python_client
  stage "in-browser tests" counts wasm_tests
  stage "end to end" counts end_to_end $long
  if [ -n "$long" ]; then
    stage "dev" counts node tests/dev.mjs
    stage "release" counts release
  fi

  echo "$PASSED passed, $FAILED failed"
  [ "$FAILED" = 0 ]
}
