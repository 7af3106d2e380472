# The wasm bundles, all from one crate: `launcher` (first load), and for the rest `panel`, or `realtime` where an agent needs it; `headless` for pages that
# draw the conversation themselves. Sourced by build.sh.
# Figures for every choice made here are in docs/ARCHITECTURE.md.

# build_widget release|dev [BEFORE-GLUE]   Every step says what happens when it fails: the tests call this where `set -e` does not hold.
# BEFORE-GLUE: what to call once the bundles are compiled, for who has not yet called need_glue.
build_widget() {
  local profile=$1 before_glue=${2:-true} key work bundle
  [ -f www/karta.js ] || die "www/karta.js, the loader, is missing"
  key="$profile $(widget_inputs)"
  if [ "$(cat dist/.widget-key 2>/dev/null)" = "$key" ] && [ -f dist/widget/manifest.json ]; then
    step "Widget is up to date"
    return
  fi
  work=$TARGET/karta-widget/$(cksum <<<"$ROOT" | cut -d' ' -f1)
  mkdir -p "$work" dist
  for bundle in launcher panel realtime headless; do
    step "Building the $bundle bundle ($profile)"
    # All bundles come out of cargo under one name, so build and copy are one step even if two terminals build.
    (flock 9; "wasm_$profile" "$bundle" && cp "$WASM_OUT" "$work/$bundle.wasm") 9>"$TARGET/karta-widget/lock" ||
      die "the $bundle bundle does not build"
  done
  "$before_glue"
  for bundle in launcher panel realtime headless; do
    karta-glue "$work/$bundle.wasm" "$work" "$bundle" || die "no glue could be made for the $bundle bundle"
  done
  step "Shrinking, naming and compressing"
  node scripts/assemble.mjs --from "$work" --to dist/widget --profile "$profile" || die "the widget could not be assembled"
  echo "$key" >dist/.widget-key
}

widget_inputs() {
  find src protocol/src Cargo.toml Cargo.lock protocol/Cargo.toml rust-toolchain.toml package-lock.json www/karta.js www/headless.js \
    scripts/widget.sh scripts/assemble.mjs scripts/glue.mjs scripts/order.mjs tools -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | cksum
}

# The features of a bundle.
features() { case $1 in realtime) echo panel,realtime ;; headless) echo headless,realtime ;; *) echo "$1" ;; esac; }

wasm_release() {
  # Only the cdylib: beside the rlib, which tests link, cargo leaves out the optimising across crates that the profile asks for. 4 kB less.
  local cargo=(cargo rustc --locked -p karta --lib --crate-type cdylib --profile wasm --target wasm32-unknown-unknown --no-default-features --features "$(features "$1")")
  WASM_OUT=$TARGET/wasm32-unknown-unknown/wasm/karta.wasm
  # Half of the usual stack: addresses of data, which lie behind it, are a byte shorter in the code.
  local link=(-- -Clink-arg=-zstack-size=524288)
  # No path of the machine that builds gets into what pages load (scripts/assemble.mjs checks it).
  local remap="--remap-path-prefix=$ROOT=karta --remap-path-prefix=$HOME=build"
  # A panic becomes one trap instruction, and the standard library is compiled for size: 43 → 34 kB.
  # Those are flags of the nightly compiler that the stable one obeys when told it may; the source itself needs none of them.
  if [ ! -f "$TARGET/karta-widget/plain" ]; then
    # Source locations and Debug texts could never be shown: 2 kB less. Simplifying before LLVM sees the code: 1.4 kB, and 1.8 more where that
    # neither inlines nor duplicates.
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zlocation-detail=none -Zfmt-debug=none -Zmir-opt-level=3 -Zinline-mir=no -Zmir-enable-passes=-JumpThreading $remap" "${cargo[@]}" -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size \
      -Zpanic-immediate-abort --config 'profile.wasm.panic="immediate-abort"' "${link[@]}" && return
    warn "the smallest build failed; trying a plain one (the bundle will be larger)"
    # One more try tells a compile error in our source from a toolchain that lacks these flags.
    RUSTFLAGS=$remap "${cargo[@]}" "${link[@]}" && touch "$TARGET/karta-widget/plain"
    return
  fi
  RUSTFLAGS=$remap "${cargo[@]}" "${link[@]}"
}

wasm_dev() {
  WASM_OUT=$TARGET/wasm32-unknown-unknown/debug/karta.wasm
  cargo build --locked -p karta --lib --target wasm32-unknown-unknown --no-default-features --features "$(features "$1"),panic-hook"
}
