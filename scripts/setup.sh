# Installs what is missing, and nothing else. Sourced by build.sh.

# Where Debian's Rust is. tests/scripts.mjs has it elsewhere.
SYSTEM_RUST=/usr

# Whether apt_install would work without asking.
can_install() { have apt-get && { [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }; }; }

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
  # One look at the lists is enough for all that one run installs.
  if [ -z "$(find "$TOOLS/.apt-lists" -mmin -30 2>/dev/null)" ]; then
    mkdir -p "$TOOLS"
    if $sudo apt-get update -qq; then touch "$TOOLS/.apt-lists"; else warn "apt-get update failed; trying with the package lists at hand"; fi
  fi
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    die "apt-get could not install: $*"
}

need_build() {
  need_rust
  need_node
  need_glue
}

need_rust() {
  if ! have cargo && [ -f "$HOME/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
  have cargo || die "Rust is missing. Install it with rustup (https://rustup.rs), then run this again."
  have cc || apt_install "a C compiler" build-essential
  # Builds libopus, the codec of calls.
  have cmake || apt_install cmake cmake
  need_wasm_target
}

need_node() {
  have node || apt_install Node.js nodejs npm
  node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || die "Node.js 20 or later is needed; this is $(node -v)."
  have npm || apt_install npm npm
  need_npm
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
  [ -e "$SYSTEM_RUST/lib/rustlib/wasm32-unknown-unknown" ] || apt_install "the wasm target" rustc-web cargo-web rust-web-src rust-web-llvm lld-22
  # PATH, not only RUSTC: else rustup's rustdoc would run the doctests.
  export PATH="$SYSTEM_RUST/bin:$PATH" RUSTUP_TOOLCHAIN=
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

# What makes a bundle of cargo's wasm. It is a crate of this workspace (tools/), so it has the version that Cargo.lock has: another one refuses to work.
need_glue() { need_tools karta-glue -p karta-tools --no-default-features; }

# The same, and what runs the in-browser tests. All of the workspace's features, as the tests have them: what these tools share with the server is compiled once.
need_test_tools() { need_tools "karta-glue wasm-bindgen-test-runner" --workspace; }

# tools_stand [NAME…]   Whether they are there, in this version.
tools_stand() {
  local name key
  key=$(tools_key)
  for name in "${@:-karta-glue}"; do
    [ "$(cat "$TOOLS/bin/.$name-key" 2>/dev/null)" = "$key" ] || return 1
  done
}

tools_key() { echo "$(locked_version wasm-bindgen) $(cat tools/Cargo.toml tools/src/bin/* | cksum)"; }

need_tools() { # need_tools NAMES CARGO-FLAG…   Debug builds: the quickest to make, and they run for a tenth of a second.
  local names=$1 name key bins=()
  shift
  key=$(tools_key)
  for name in $names; do
    tools_stand "$name" || bins+=(--bin "$name")
  done
  [ "${#bins[@]}" != 0 ] || return 0
  step "Building $names (about a minute, once)"
  mkdir -p "$TOOLS/bin"
  cargo build --locked "$@" "${bins[@]}" >&2 || die "$names could not be built"
  for name in $names; do
    if [ -e "$TARGET/debug/$name" ]; then cp "$TARGET/debug/$name" "$TOOLS/bin/" && echo "$key" >"$TOOLS/bin/.$name-key"; fi
  done
}

# The tests' browser.
need_browser() {
  find_browser && return
  install_browser
  find_browser || die "Chromium or its driver could not be installed"
}

# Sets CHROMIUM and CHROMEDRIVER. Best the headless shell: the same engine without the windows around it, which takes half of the processor time.
find_browser() {
  local name
  for name in chromium-headless-shell chrome-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "${CHROMIUM:-}" ] || ! have "$name" || CHROMIUM=$(command -v "$name")
  done
  for name in chromedriver chromium.chromedriver; do
    [ -n "${CHROMEDRIVER:-}" ] || ! have "$name" || CHROMEDRIVER=$(command -v "$name")
  done
  [ -n "${CHROMIUM:-}" ] && [ -n "${CHROMEDRIVER:-}" ] && export CHROMIUM CHROMEDRIVER
}

# Debian has the shell as a package of its own; where there is none, the whole browser does.
install_browser() {
  if [ -n "${CHROMIUM:-}" ]; then apt_install "Chromium's driver" chromium-driver
  else (apt_install "Chromium with its driver" chromium-headless-shell chromium-driver) || apt_install "Chromium with its driver" chromium chromium-driver
  fi
}

# The tests of Firefox run in a stock one. Without it, tests/e2e says that they are skipped.
want_firefox() {
  [ -z "${FIREFOX:-}" ] || return 0
  have firefox-esr && return
  have firefox && return
  [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; } || return 0
  have apt-get || return 0
  (apt_install "Firefox, for the tests in it" firefox-esr) || warn "nothing is tested in Firefox"
}

have_voice() { have flite && have pocketsphinx_continuous && [ -e /usr/share/pocketsphinx/model/en-us/en-us ]; }

# What the tests' calls are heard and answered with.
need_voice() { have_voice || apt_install "the speech engine of the tests' calls" flite pocketsphinx pocketsphinx-en-us; }

# Voice without a key. Only offered: without it the demo is the same, but for the voice button.
want_voice() {
  local packages="flite pocketsphinx pocketsphinx-en-us"
  if have_voice; then return; fi
  if ! can_install; then
    warn "the speech engine of the demo's calls is missing, and cannot be installed without asking. For it:  sudo apt-get install $packages"
    return
  fi
  # shellcheck disable=SC2086  # one argument each
  (apt_install "the demo's voice" $packages) || warn "no voice in the demo"
}

# A real relay for the tests of TURN.
need_turn() {
  have turnserver || apt_install "coturn, a TURN server for the tests" coturn
}

# One of the snippets of docs/SECURITY.md is PHP. Without it, its test says that it is skipped.
want_php() {
  have php && return
  can_install || return 0
  (apt_install "PHP, for a test" php-cli) || warn "the PHP snippet is not tested"
}

# One test asks the kernel in which order a server writes, syncs and sends. Without strace it says that it is skipped.
want_strace() {
  have strace && return
  can_install || return 0
  (apt_install "strace, for a test" strace) || warn "that messages are synced before they are sent is not tested"
}

# What the tests of the Python client run in, any that Debian has, and what makes them a certificate.
need_python() {
  have python3 || apt_install Python python3
  have openssl || apt_install openssl openssl
}

# The real Pipecat that the tests hand calls to, in a Python of its own: 0.9 GB, once for each change of its list. uv does in seconds what takes pip a minute.
need_pipecat() {
  local list=tests/e2e/engine/requirements.txt dir=$TOOLS/pipecat key
  have flite || apt_install "the voice of the tests' bot" flite
  key=$(cksum <"$list")
  [ "$(cat "$dir/.karta-key" 2>/dev/null)" != "$key" ] || return 0
  python3 -c "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || apt_install "Python 3.11" python3 python3-venv
  step "Installing pipecat-ai for the tests (0.9 GB, once)"
  rm -rf "$dir"
  mkdir -p "$TOOLS"
  python3 -m venv "$dir" && "$dir/bin/pip" install -q uv==0.13.9 >&2 && "$dir/bin/uv" pip install -q --python "$dir/bin/python" -r "$list" >&2 ||
    die "pipecat-ai could not be installed"
  echo "$key" >"$dir/.karta-key"
}

# OpenAI's own realtime client, which the tests' stand-in for its API is held to: 85 MB in a folder of its own, so that no build loads it.
need_openai_client() {
  local from=tests/e2e/engine dir=$TOOLS/openai-client key
  key=$(cat "$from/package.json" "$from/package-lock.json" | cksum)
  [ "$(cat "$dir/.karta-key" 2>/dev/null)" != "$key" ] || return 0
  step "Installing @openai/agents-realtime for the tests (85 MB, once)"
  rm -rf "$dir"
  mkdir -p "$dir"
  cp "$from/package.json" "$from/package-lock.json" "$dir/"
  npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 || die "@openai/agents-realtime could not be installed"
  echo "$key" >"$dir/.karta-key"
}

need_lints() {
  have rustup || return 0
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
  step "Adding rustfmt and clippy"
  rustup component add rustfmt clippy >&2 || warn "rustfmt or clippy could not be added"
}
