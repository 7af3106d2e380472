//! `karta-glue IN.wasm OUT_DIR NAME`: writes `NAME.js` and `NAME_bg.wasm`, a bundle as pages load it. `wasm-bindgen --target web` in
//! its library form: its command line brings a hundred crates that nothing here uses.

use std::process::ExitCode;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [wasm, out_dir, name] = args.as_slice() else {
        eprintln!("usage: karta-glue IN.wasm OUT_DIR NAME");
        return ExitCode::FAILURE;
    };
    let mut bindgen = Bindgen::new();
    let made = bindgen.web(true).and_then(|bindgen| {
        bindgen
            .typescript(false)
            .omit_default_module_path(true)
            .input_path(wasm)
            .out_name(name)
            .generate(out_dir)
    });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("karta-glue: {wasm}: {error:?}");
            ExitCode::FAILURE
        }
    }
}
