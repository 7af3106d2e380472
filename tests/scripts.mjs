// build.sh on machines that are not like this one: its functions are run with stand-ins for rustup, cargo and apt in the PATH.
//   node tests/scripts.mjs
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "..");
const PINNED = "rustc 1.2.3 (aaaa)";
const OTHER = "rustc 1.0.7 (bbbb)";

/** What a clippy-driver of that version answers. */
const driver = (version) => `[ "$*" = "--rustc -vV" ] && echo "${version}"`;
/** rustup's proxy, which stands there whether or not the component does. */
const PROXY = 'echo "error: \'clippy-driver\' is not installed for this toolchain" >&2; exit 1';

/** Whatever goes wrong below, this machine stays as it is. */
const NO_APT = 'apt_install() { die "a test of the scripts would have installed: $*"; }';

/** A machine: `files` by their path (a script's body, or true for an empty folder). Functions of build.sh run there, in an empty folder. */
function machine(files) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "karta-scripts-"));
  for (const [name, body] of Object.entries({ "work/.karta": true, home: true, ...files })) {
    const file = path.join(dir, name);
    fs.mkdirSync(body === true ? file : path.dirname(file), { recursive: true });
    if (body !== true) fs.writeFileSync(file, `#!/bin/bash\n${body.replaceAll("@", dir)}\n`, { mode: 0o755 });
  }
  return {
    run(commands) {
      const parts = ["common", "setup", "widget", "test"].map((part) => `. "${ROOT}/scripts/${part}.sh"`).join("; ");
      const { status, stdout, stderr } = spawnSync("bash", ["-c", `set -euo pipefail; ROOT=$PWD; ${parts}; SYSTEM_RUST=${dir}/debian; ${NO_APT}; ${commands}`], {
        cwd: path.join(dir, "work"), encoding: "utf8",
        env: { PATH: `${dir}/bin:/usr/bin:/bin`, HOME: `${dir}/home`, KARTA_TOOLS: `${dir}/tools`, CARGO_TARGET_DIR: `${dir}/target` },
      });
      return { status, stdout, stderr, lines: stdout.trimEnd().split("\n") };
    },
    at: (name) => path.join(dir, name),
    end: () => fs.rmSync(dir, { recursive: true, force: true }),
  };
}

/** A machine with rustup's own toolchain, which has the wasm target and whatever `rustup` adds. */
const rustup = (which, more = {}) => ({
  "bin/rustc": `echo "${PINNED}"`,
  "bin/cargo": 'case "$1" in fmt | clippy) exit 1 ;; esac',
  "bin/clippy-driver": PROXY,
  "bin/rustup": `case "$1 $2" in
    "which clippy-driver") ${which} ;;
    "target list") echo wasm32-unknown-unknown ;;
    "component list") echo rust-src ;;
    *) exit 1 ;;
  esac`,
  ...more,
});

const checks = [];
const check = (name, run) => checks.push([name, run]);

check("where rustup can fetch no clippy, its proxy is not taken for one, and a warning says so", () => {
  const { run, end } = machine(rustup("exit 1"));
  const { status, stdout, stderr } = run('find_clippy; echo "<$CLIPPY>"; linted env');
  end();
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^<>$/m);
  assert.match(stderr, /warning: no clippy of this rustc: the tests run without lints/);
  assert.doesNotMatch(stdout, /^RUSTC_WORKSPACE_WRAPPER=/m);
});

check("rustup's clippy lints where it is that of the rustc in use", () => {
  const { run, at, end } = machine(rustup('echo "@/toolchain/clippy-driver"', { "toolchain/clippy-driver": driver(PINNED) }));
  const { status, stdout, stderr } = run('find_clippy; echo "<$CLIPPY>"; linted env');
  end();
  assert.equal(status, 0, stderr);
  assert.match(stdout, new RegExp(`^<${at("toolchain/clippy-driver")}>$`, "m"));
  assert.match(stdout, /^RUSTC_WORKSPACE_WRAPPER=.*toolchain\/clippy-driver$/m);
  assert.doesNotMatch(stderr, /no clippy/);
});

/** rustup is there, has no wasm target and can fetch none; Debian's Rust is there, too. */
const debian = (more = {}) => rustup('echo "@/toolchain/clippy-driver"', {
  "bin/rustup": `case "$1 $2" in
    "which clippy-driver") echo "@/toolchain/clippy-driver" ;;
    "target add") echo "error: could not download" >&2; exit 1 ;;
  esac`,
  "toolchain/clippy-driver": driver(PINNED),
  "debian/bin/rustc": `echo "${OTHER}"`,
  "debian/bin/cargo": "exit 0",
  "debian/lib/rustlib/wasm32-unknown-unknown": true,
  ...more,
});

check("where Debian's Rust stands in, rustup's clippy of another version is not used", () => {
  const { run, end } = machine(debian());
  const { status, stdout, stderr } = run('need_wasm_target; rustc --version; find_clippy; echo "<$CLIPPY>"');
  end();
  assert.equal(status, 0, stderr);
  assert.match(stderr, /rustup could not fetch the wasm target; using Debian's Rust/);
  assert.match(stdout, new RegExp(`${OTHER.replace(/[()]/g, "\\$&")}\n<>\n$`));
  assert.match(stderr, /no clippy of this rustc/);
});

check("and Debian's own clippy is, where it is there", () => {
  const { run, at, end } = machine(debian({ "debian/bin/clippy-driver": driver(OTHER) }));
  const { status, stdout, stderr } = run('need_wasm_target; find_clippy; echo "<$CLIPPY>"');
  end();
  assert.equal(status, 0, stderr);
  assert.match(stdout, new RegExp(`^<${at("debian/bin/clippy-driver")}>$`, "m"));
});

/** The stages of `./build.sh test`, each done at once. `fails` is run last of these, and may make one fail. */
const stages = (fails) => `
  for name in need_rust need_node need_lints want_strace find_browser need_browser need_voice need_turn want_php need_openai_client need_python need_pipecat compile tested_widget build_npm; do eval "$name() { :; }"; done
  for name in native_tests python_client wasm_tests end_to_end node; do eval "$name() { echo '2 passed, 0 failed'; }"; done
  rustc() { echo "${PINNED}"; }; cargo() { echo "cargo $*"; }
  mkdir -p "$TARGET/debug"; touch "$TARGET/debug/karta-server"
  ${fails}
  cmd_test`;

check("a run in which all goes well ends with its sum, and 0", () => {
  const { run, end } = machine({});
  const { status, lines, stderr } = run(stages(""));
  end();
  assert.match(lines.at(-1), /^\d+ passed, 0 failed$/, stderr);
  assert.equal(status, 0);
});

for (const part of ["need_pipecat", "need_turn", "need_browser"]) {
  check(`what cannot be installed (${part}) is a failure, and the rest still runs, up to the last line`, () => {
    const { run, at, end } = machine({});
    const { status, lines, stderr } = run(stages(`${part}() { die "no network"; }; find_browser() { return 1; }; need_python() { touch "${"$TARGET"}/python"; }`));
    const python = fs.existsSync(at("target/python"));
    end();
    assert.match(lines.at(-1), /^\d+ passed, 1 failed$/, stderr);
    assert.equal(status, 1);
    for (const stage of ["Python client", "in-browser tests", "end to end"]) assert.match(stderr, new RegExp(`${stage}: 2 passed, 0 failed`));
    assert.ok(python, "what comes after it is installed");
  });
}

check("the format is checked where rustfmt is there, and else a warning says that it is not", () => {
  const { run, end } = machine({});
  const [there, missing] = [run(stages("")), run(stages('cargo() { [ "$1" != fmt ]; }'))];
  end();
  assert.match(there.stdout, /^cargo fmt --all --check$/m);
  assert.match(there.stderr, /format: 1 passed, 0 failed/);
  assert.match(missing.stderr, /warning: no rustfmt: the format is not checked/);
  assert.match(missing.lines.at(-1), /^\d+ passed, 0 failed$/);
});

/** Someone without root, and without a sudo that asks for no password. */
const nobody = { "bin/id": "echo 1000", "bin/sudo": "exit 1", "bin/apt-get": "exit 0" };

check("who may install nothing is told how the demo gets its voice", () => {
  const { run, end } = machine(nobody);
  const { status, stdout, stderr } = run("have_voice() { return 1; }; want_voice; echo on");
  end();
  assert.equal(status, 0, stderr);
  assert.equal(stdout, "on\n");
  assert.match(stderr, /warning: .*sudo apt-get install flite pocketsphinx pocketsphinx-en-us$/m);
});

for (const [command, build] of [["demo", "release"], ["dev", "dev"]]) {
  check(`${command} looks for a voice before it starts`, () => {
    const { run, end } = machine({});
    const { status, lines, stderr } = run(`. "${ROOT}/build.sh" help >/dev/null
      need_build() { :; }; build_widget() { :; }; build_server() { SERVER_BIN=built-$1; }; want_voice() { echo voice; }; exec() { echo "exec $*"; }
      cmd_${command} --port 1`);
    end();
    assert.equal(status, 0, stderr);
    assert.equal(lines[0], "voice");
    assert.match(lines[1], new RegExp(`^exec node scripts/demo.mjs --server built-${build} (--watch )?--port 1$`));
  });
}

let failed = 0;
for (const [name, run] of checks) {
  try {
    run();
    console.log(`ok    scripts: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  scripts: ${name}\n${error.stack ?? error}`);
  }
}
console.log(`${checks.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
