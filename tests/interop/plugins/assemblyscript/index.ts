// The story's plugins with the AssemblyScript SDK; the root id chooses one.
export * from "@solo-io/proxy-runtime/proxy";
import { Context, FilterDataStatusValues, FilterHeadersStatusValues, GrpcStatusValues, HeaderPair,
  LogLevelValues, RootContext, log, registerRootContext, send_local_response,
  stream_context } from "@solo-io/proxy-runtime";
import { BufferTypeValues, get_buffer_bytes,
  set_tick_period_milliseconds } from "@solo-io/proxy-runtime/runtime";

// The SDK wraps no call that writes buffers.
// @ts-ignore: decorator
@external("env", "proxy_set_buffer_bytes")
declare function proxy_set_buffer_bytes(type: u32, start: u32, size: u32, data: usize,
  data_size: usize): u32;

function setBuffer(type: BufferTypeValues, start: u32, size: u32, text: string): void {
  const data = String.UTF8.encode(text);
  proxy_set_buffer_bytes(type, start, size, changetype<usize>(data), data.byteLength);
}

function info(text: string): void {
  log(LogLevelValues.info, text);
}

class Root extends RootContext {
  onConfigure(size: u32): bool {
    return super.onConfigure(size) && this.getConfiguration() != "refuse";
  }
}

// Logs the request's headers, adds some, answers /hello itself.
class Headers extends Context {
  onRequestHeaders(count: u32, isEnd: bool): FilterHeadersStatusValues {
    const all = stream_context.headers.request.get_headers();
    for (let i = 0; i < all.length; i++) {
      info("#" + this.context_id.toString() + " -> " + String.UTF8.decode(all[i].key) + ": "
        + String.UTF8.decode(all[i].value));
    }
    if (stream_context.headers.request.get(":path") == "/hello") {
      const powered = new HeaderPair(String.UTF8.encode("powered-by"),
        String.UTF8.encode("proxy-wasm"));
      send_local_response(200, "hello", String.UTF8.encode("Hello, World!\n"), [powered],
        GrpcStatusValues.InvalidCode);
      return FilterHeadersStatusValues.StopIteration;
    }
    stream_context.headers.request.replace("x-from-plugin", "yes");
    return FilterHeadersStatusValues.Continue;
  }

  onResponseHeaders(count: u32, isEnd: bool): FilterHeadersStatusValues {
    stream_context.headers.response.add("x-plugin", "assemblyscript");
    return FilterHeadersStatusValues.Continue;
  }

  onLog(): void {
    info("#" + this.context_id.toString() + " completed");
  }
}

class HeadersRoot extends Root {
  createContext(context_id: u32): Context {
    return new Headers(context_id, this);
  }
}

// Changes the request's body as the header buffer-operation says, redacts secret responses.
class Body extends Context {
  operation: string = "";

  onRequestHeaders(count: u32, isEnd: bool): FilterHeadersStatusValues {
    this.operation = stream_context.headers.request.get("buffer-operation");
    stream_context.headers.request.remove("content-length");
    return FilterHeadersStatusValues.Continue;
  }

  onRequestBody(size: usize, isEnd: bool): FilterDataStatusValues {
    if (!isEnd) {
      return FilterDataStatusValues.StopIterationAndBuffer;
    }
    const type = BufferTypeValues.HttpRequestBody;
    info("original request body: " + String.UTF8.decode(get_buffer_bytes(type, 0, size as u32)));
    if (this.operation == "append") {
      setBuffer(type, size as u32, 0, "[appended]");
    } else if (this.operation == "prepend") {
      setBuffer(type, 0, 0, "[prepended]");
    } else {
      setBuffer(type, 0, size as u32, "[replaced]");
    }
    return FilterDataStatusValues.Continue;
  }

  onResponseHeaders(count: u32, isEnd: bool): FilterHeadersStatusValues {
    stream_context.headers.response.remove("content-length");
    return FilterHeadersStatusValues.Continue;
  }

  onResponseBody(size: usize, isEnd: bool): FilterDataStatusValues {
    if (!isEnd) {
      return FilterDataStatusValues.StopIterationAndBuffer;
    }
    const type = BufferTypeValues.HttpResponseBody;
    const original = String.UTF8.decode(get_buffer_bytes(type, 0, size as u32));
    if (original.includes("secret")) {
      setBuffer(type, 0, size as u32,
        "Original message body (" + size.toString() + " bytes) redacted.\n");
    }
    return FilterDataStatusValues.Continue;
  }
}

class BodyRoot extends Root {
  createContext(context_id: u32): Context {
    return new Body(context_id, this);
  }
}

// Adds a header whose value is the plugin's configuration.
class Config extends Context {
  onResponseHeaders(count: u32, isEnd: bool): FilterHeadersStatusValues {
    stream_context.headers.response.add("custom-header", this.root_context.getConfiguration());
    return FilterHeadersStatusValues.Continue;
  }
}

class ConfigRoot extends Root {
  createContext(context_id: u32): Context {
    return new Config(context_id, this);
  }
}

// Logs a greeting when it starts, then its ticks.
class HelloRoot extends Root {
  ticks: u32 = 0;

  onStart(size: usize): bool {
    info("Hello, World!");
    set_tick_period_milliseconds(100);
    return true;
  }

  onTick(): void {
    this.ticks++;
    info("tick " + this.ticks.toString());
  }

  createContext(context_id: u32): Context {
    return new Context(context_id, this);
  }
}

registerRootContext((id: u32) => { return new HeadersRoot(id); }, "headers");
registerRootContext((id: u32) => { return new BodyRoot(id); }, "body");
registerRootContext((id: u32) => { return new ConfigRoot(id); }, "config");
registerRootContext((id: u32) => { return new HelloRoot(id); }, "hello");
