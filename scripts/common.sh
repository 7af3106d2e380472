# Names and messages that every part of build.sh shares. Sourced, never run.

TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
TOOLS=${KARTA_TOOLS:-$TARGET/tools}
export PATH="$TOOLS/bin:$ROOT/node_modules/.bin:$PATH"
# Cargo draws its progress bar only on a terminal; in a log each crate has its line, so progress shows there too.
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
STARTED=$SECONDS

step() { printf '[%4d s] %s\n' $((SECONDS - STARTED)) "$*" >&2; }
warn() { printf '[%4d s] warning: %s\n' $((SECONDS - STARTED)) "$*" >&2; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# A version is written in one place: the lock file.
locked_version() { sed -n "/^name = \"$1\"\$/{n;s/^version = \"\(.*\)\"\$/\1/p;q}" Cargo.lock; }
