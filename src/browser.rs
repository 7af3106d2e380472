//! wasm32 only: carries out effects. The one place that may name web_sys, js_sys, wasm_bindgen.
