# Installs what is missing, and nothing else. Sourced by build.sh.

# apt_install WHY PACKAGE…   only where it can work without asking; anyone else gets the line to type.
apt_install() {
  local why=$1 sudo=
  shift
  if have apt-get && [ "$(id -u)" != 0 ]; then
    if have sudo && sudo -n true 2>/dev/null; then sudo=sudo; else sudo=none; fi
  fi
  if ! have apt-get || [ "$sudo" = none ]; then
    die "$why is missing. Please install it, for example:  sudo apt-get install $*"
  fi
  step "Installing $* ($why is missing)"
  $sudo apt-get update -qq || warn "apt-get update failed; trying with the package lists at hand"
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    die "apt-get could not install: $*"
}

need_build() {
  if ! have cargo && [ -f "$HOME/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
  have cargo || die "Rust is missing. Install it with rustup (https://rustup.rs), then run this again."
  have node || apt_install Node.js nodejs npm
  node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || die "Node.js 20 or later is needed; this is $(node -v)."
  have npm || apt_install npm npm
  have cc || apt_install "a C compiler" build-essential
  need_wasm_target
  need_npm
  need_wasm_bindgen
}

need_wasm_target() {
  if have rustup; then
    local installed
    if ! rustc --version >/dev/null 2>&1; then need_pinned_rust; fi
    installed=$(rustup target list --installed 2>/dev/null; rustup component list --installed 2>/dev/null) || true
    if grep -q '^wasm32-unknown-unknown' <<<"$installed" && grep -q '^rust-src' <<<"$installed"; then return; fi
    step "Adding the wasm target and the standard library's source"
    if rustup target add wasm32-unknown-unknown >&2; then
      rustup component add rust-src >&2 || warn "no rust-src: the bundle will be larger"
      return
    fi
    warn "rustup could not fetch the wasm target; using Debian's Rust"
  elif [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
    return
  fi
  [ -e /usr/lib/rustlib/wasm32-unknown-unknown ] || apt_install "the wasm target" rustc-web cargo-web rust-web-src rust-web-llvm lld-22
  # PATH, not only RUSTC: else rustup's rustdoc would run the doctests.
  export PATH="/usr/bin:$PATH" RUSTUP_TOOLCHAIN=
  unset RUSTUP_TOOLCHAIN
}

# rust-toolchain.toml names one version. Newer rustup installs it only when told; the same version may also be there as "stable".
need_pinned_rust() {
  local pinned
  pinned=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
  if [[ "$(rustc +stable --version 2>/dev/null)" == "rustc $pinned "* ]]; then
    export RUSTUP_TOOLCHAIN=stable
    return
  fi
  step "Installing Rust $pinned"
  rustup toolchain install "$pinned" --profile minimal --no-self-update >&2 && return
  rustc +stable --version >&2 || die "Rust $pinned could not be installed, and there is no other one"
  warn "Rust $pinned could not be installed; using the stable one at hand"
  export RUSTUP_TOOLCHAIN=stable
}

need_npm() {
  local key dir=${KARTA_TOOLS:-$ROOT}
  key=$(cat package-lock.json package.json | cksum)
  if [ "$(cat "$dir/node_modules/.karta-key" 2>/dev/null)" != "$key" ]; then
    step "Installing npm modules (wasm-opt, esbuild, and what the tests drive)"
    [ "$dir" = "$ROOT" ] || { mkdir -p "$dir"; cp package.json package-lock.json "$dir/"; }
    # --ignore-scripts: nothing here needs an install script, so none runs.
    npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 || die "npm ci failed"
    echo "$key" >"$dir/node_modules/.karta-key"
  fi
  [ "$dir" = "$ROOT" ] || [ -e node_modules ] || ln -s "$dir/node_modules" node_modules
}

# wasm-bindgen and its test runner, in exactly the version that Cargo.lock has: another one refuses to work.
need_wasm_bindgen() {
  local version
  version=$(locked_version wasm-bindgen)
  if [ "$(wasm-bindgen --version 2>/dev/null)" = "wasm-bindgen $version" ] && have wasm-bindgen-test-runner; then return; fi
  step "Building wasm-bindgen-cli $version (about 80 s, once)"
  # A debug build: a third of the time to build, and it runs for a tenth of a second here.
  # Its own target folder, so that this never waits for, or blocks, another cargo.
  cargo install wasm-bindgen-cli --version "$version" --debug --no-default-features \
    --root "$TOOLS" --target-dir "$TOOLS/build" >&2 || die "wasm-bindgen-cli $version could not be built"
  rm -rf "$TOOLS/build"
}

# The tests' browser: sets CHROMIUM and CHROMEDRIVER.
need_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "${CHROMIUM:-}" ] || ! have "$name" || CHROMIUM=$(command -v "$name")
  done
  for name in chromedriver chromium.chromedriver; do
    [ -n "${CHROMEDRIVER:-}" ] || ! have "$name" || CHROMEDRIVER=$(command -v "$name")
  done
  if [ -z "${CHROMIUM:-}" ] || [ -z "${CHROMEDRIVER:-}" ]; then
    apt_install "Chromium with its driver" chromium chromium-driver
    CHROMIUM=${CHROMIUM:-/usr/bin/chromium} CHROMEDRIVER=${CHROMEDRIVER:-/usr/bin/chromedriver}
  fi
  export CHROMIUM CHROMEDRIVER
}

have_voice() { have flite && have pocketsphinx_continuous && [ -e /usr/share/pocketsphinx/model/en-us/en-us ]; }

# What the tests' calls are heard and answered with.
need_voice() { have_voice || apt_install "the speech engine of the tests' calls" flite pocketsphinx pocketsphinx-en-us; }

# Voice without a key. Only offered: without it the demo is the same, but for the voice button.
want_voice() {
  if have_voice; then return; fi
  [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; } || return 0
  have apt-get || return 0
  (apt_install "the demo's voice" flite pocketsphinx pocketsphinx-en-us) || warn "no voice in the demo"
}

# A real relay for the tests of TURN.
need_turn() {
  have turnserver || apt_install "coturn, a TURN server for the tests" coturn
}

# One of the snippets of docs/SECURITY.md is PHP. Without it, its test says that it is skipped.
want_php() {
  have php && return
  [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; } || return 0
  have apt-get || return 0
  (apt_install "PHP, for a test" php-cli) || warn "the PHP snippet is not tested"
}

# The real Pipecat that the tests hand calls to, in a Python of its own: 0.9 GB, two minutes, once for each change of its list.
need_pipecat() {
  local list=tests/e2e/engine/requirements.txt dir=$TOOLS/pipecat key
  have flite || apt_install "the voice of the tests' bot" flite
  key=$(cksum <"$list")
  [ "$(cat "$dir/.karta-key" 2>/dev/null)" != "$key" ] || return 0
  python3 -c "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || apt_install "Python 3.11" python3 python3-venv
  step "Installing pipecat-ai for the tests (0.9 GB, some minutes, once)"
  rm -rf "$dir"
  mkdir -p "$TOOLS"
  python3 -m venv "$dir" && "$dir/bin/pip" install -q -r "$list" >&2 || die "pipecat-ai could not be installed"
  echo "$key" >"$dir/.karta-key"
}

need_lints() {
  have rustup || return 0
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
  step "Adding rustfmt and clippy"
  rustup component add rustfmt clippy >&2 || warn "rustfmt or clippy could not be added"
}
