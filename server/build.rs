//! Makes the folder that the widget's bundle is embedded from, so that a fresh clone builds before `./build.sh widget` ran.

use std::path::Path;

fn main() {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/widget");
    // Read-only sources: fine as long as the folder is there.
    let _ = std::fs::create_dir_all(&bundle);
    println!("cargo::rerun-if-changed=build.rs");
    // A debug build reads the folder whenever it serves a file, so it need not be built anew for a new bundle.
    if std::env::var("PROFILE").as_deref() == Ok("release") {
        println!("cargo::rerun-if-changed={}", bundle.display());
    }
}
