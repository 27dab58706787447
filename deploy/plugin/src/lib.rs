//! Adds the header `x-plugin-version` to every response. The version is the build's:
//! `PLUGIN_VERSION=2 cargo build` makes the second one.
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

const VERSION: &str = match option_env!("PLUGIN_VERSION") {
    Some(version) => version,
    None => "1",
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root) });
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _configuration_size: usize) -> bool {
        log::info!("version {} is configured", VERSION);
        true
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        self.set_http_response_header("x-plugin-version", Some(VERSION));
        Action::Continue
    }
}
