//! The story's plugins with the Proxy-Wasm SDK for Rust; the root id chooses one.
use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use std::time::Duration;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    id: String,
    configuration: String,
    ticks: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.id = text(self.get_property(vec!["plugin_root_id"]));
        if self.id == "hello" {
            info!("Hello, World!");
            self.set_tick_period(Duration::from_millis(100));
        }
        true
    }

    fn on_configure(&mut self, _: usize) -> bool {
        self.configuration = text(self.get_plugin_configuration());
        self.configuration != "refuse"
    }

    fn on_tick(&mut self) {
        self.ticks += 1;
        info!("tick {} at {:?}", self.ticks, self.get_current_time());
    }

    fn get_type(&self) -> Option<ContextType> {
        match self.id.as_str() {
            "hello" => None,
            "network" => Some(ContextType::StreamContext),
            _ => Some(ContextType::HttpContext),
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        match self.id.as_str() {
            "headers" => Some(Box::new(Headers { context_id })),
            "body" => Some(Box::new(Body::default())),
            _ => Some(Box::new(Config { value: self.configuration.clone() })),
        }
    }

    fn create_stream_context(&self, _: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Network))
    }
}

fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8(bytes.unwrap_or_default()).unwrap()
}

/// Logs the request's headers, adds some, answers /hello itself.
struct Headers {
    context_id: u32,
}

impl Context for Headers {}

impl HttpContext for Headers {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for (name, value) in self.get_http_request_headers() {
            info!("#{} -> {}: {}", self.context_id, name, value);
        }
        if self.get_http_request_header(":path").as_deref() == Some("/hello") {
            let headers = vec![("powered-by", "proxy-wasm")];
            self.send_http_response(200, headers, Some(b"Hello, World!\n"));
            return Action::Pause;
        }
        self.set_http_request_header("x-from-plugin", Some("yes"));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.add_http_response_header("x-plugin", "rust");
        Action::Continue
    }

    fn on_log(&mut self) {
        info!("#{} completed", self.context_id);
    }
}

/// Changes the request's body as the header buffer-operation says, redacts secret responses.
#[derive(Default)]
struct Body {
    operation: String,
}

impl Context for Body {}

impl HttpContext for Body {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.operation = self.get_http_request_header("buffer-operation").unwrap_or_default();
        self.set_http_request_header("content-length", None);
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, is_end: bool) -> Action {
        if !is_end {
            return Action::Pause;
        }
        info!("original request body: {}", text(self.get_http_request_body(0, size)));
        match self.operation.as_str() {
            "append" => self.set_http_request_body(size, 0, b"[appended]"),
            "prepend" => self.set_http_request_body(0, 0, b"[prepended]"),
            _ => self.set_http_request_body(0, size, b"[replaced]"),
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("content-length", None);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, is_end: bool) -> Action {
        if !is_end {
            return Action::Pause;
        }
        if text(self.get_http_response_body(0, size)).contains("secret") {
            let redacted = format!("Original message body ({} bytes) redacted.\n", size);
            self.set_http_response_body(0, size, redacted.as_bytes());
        }
        Action::Continue
    }
}

/// Adds a header whose value is the plugin's configuration.
struct Config {
    value: String,
}

impl Context for Config {}

impl HttpContext for Config {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.add_http_response_header("custom-header", &self.value);
        Action::Continue
    }
}

/// Logs addresses and bytes of a TCP session.
struct Network;

impl Context for Network {}

impl StreamContext for Network {
    fn on_downstream_data(&mut self, size: usize, _: bool) -> Action {
        if size > 0 {
            let source = text(self.get_property(vec!["source", "address"]));
            let destination = text(self.get_property(vec!["destination", "address"]));
            let data = text(self.get_downstream_data(0, size));
            info!("downstream {} -> {}", source, destination);
            info!(">>>>>> downstream data received >>>>>>\n{}", data);
        }
        Action::Continue
    }

    fn on_upstream_data(&mut self, size: usize, _: bool) -> Action {
        if size > 0 {
            info!("upstream {}", text(self.get_property(vec!["upstream", "address"])));
            let data = text(self.get_upstream_data(0, size));
            info!("<<<<<< upstream data received <<<<<<\n{}", data);
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        info!("connection complete!");
    }
}
