#!/usr/bin/env bash
# The one way to build, run, test and release Karta. `./build.sh help` lists the commands.
# The parts live in scripts/: common (steps, messages), setup (what must be installed), widget (the wasm bundles), test (all tests).
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$ROOT"
for part in common setup widget test; do
  # shellcheck source=/dev/null
  . "scripts/$part.sh"
done

usage() {
  cat <<'EOF'
Usage: ./build.sh COMMAND

  demo [--port 8080] [--api-port 8787]   build everything, serve the demo shop and karta-server, print "ready"; Ctrl-C stops
       [--data .karta/demo]              where the demo's database is
  test [--long]                          run every test: native, in the browser, end to end; ends with "N passed, N failed"
  dev  [--port 8080] [--api-port 8787]   as demo, with quick builds; rebuilds and reloads when a source file changes
  widget [--dev]                         build only dist/widget (loader, wasm, glue, compressed copies, manifest.json)
  server [--dev]                         build only karta-server
  npm                                    build only dist/npm, the package @karta/client; its types are checked
  release                                write dist/: the widget, the server that carries it, and the npm package
  bench [--load [--quick]]               bytes and timings against the budgets of this project; --load: what the server holds (5 minutes)
  clean                                  remove dist/ and .karta/ (the demo's data); cargo's target/ stays

Environment: CARGO_TARGET_DIR (cargo's own), KARTA_TOOLS (where wasm-bindgen and the npm modules go; default target/tools and node_modules),
CHROMIUM and CHROMEDRIVER, FIREFOX (which browsers the tests drive), OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_MODEL (demo: answer with that model).
EOF
}

build_server() { # build_server release|dev  → sets SERVER_BIN
  local profile=$1 dir=release flags=(--release)
  if [ "$profile" = dev ]; then dir=debug flags=(); fi
  step "Building karta-server ($profile)"
  cargo build --locked -p karta-server "${flags[@]}" || die "karta-server does not build"
  SERVER_BIN=$TARGET/$dir/karta-server
}

cmd_demo() {
  need_build
  build_widget release
  build_server release
  want_voice
  step "Starting the demo"
  # Node, not this shell, keeps the two servers: it stops both on any signal, also where a shell inherited an ignored SIGINT.
  exec node scripts/demo.mjs --server "$SERVER_BIN" "$@"
}

cmd_dev() {
  need_build
  build_widget dev
  build_server dev
  want_voice
  exec node scripts/demo.mjs --server "$SERVER_BIN" --watch "$@"
}

build_npm() {
  step "Building the npm package"
  node scripts/npm.mjs
}

cmd_release() {
  need_build
  build_widget release
  build_npm || die "the npm package does not build"
  build_server release
  install -m 755 "$SERVER_BIN" dist/karta-server
  step "dist/ is complete: karta-server (carries the widget), widget/ and npm/"
}

# Without a browser: the server alone, by a client that talks to its real ports. Alone on its machine, please.
bench_load() {
  build_server release
  step "Building the load client"
  cargo build --locked --release -p karta-server --example load || die "the load client does not build"
  "$TARGET/release/examples/load" --server "$SERVER_BIN" "$@"
}

cmd_bench() {
  if [ "${1:-}" = --load ]; then
    shift
    { have cargo && have cmake; } || need_build
    bench_load "$@"
    return
  fi
  need_build
  need_browser
  build_widget release
  build_server release
  KARTA_SERVER_BIN=$SERVER_BIN node bench/bench.mjs "$@"
}

command=${1:-help}
[ $# -gt 0 ] && shift
case $command in
  demo) cmd_demo "$@" ;;
  test) cmd_test "$@" ;;
  dev) cmd_dev "$@" ;;
  widget) need_build; if [ "${1:-}" = --dev ]; then build_widget dev; else build_widget release; fi ;;
  server) need_build; if [ "${1:-}" = --dev ]; then build_server dev; else build_server release; fi; echo "$SERVER_BIN" ;;
  npm) need_node; build_npm || die "the npm package does not build" ;;
  release) cmd_release ;;
  bench) cmd_bench "$@" ;;
  clean) rm -rf dist .karta ;;
  help | -h | --help) usage ;;
  *) usage >&2; die "unknown command: $command" ;;
esac
