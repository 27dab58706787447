// The story's plugins with the Proxy-Wasm SDK for Go; the root id chooses one.
package main

import (
	"fmt"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() {
	proxywasm.SetVMContext(&vm{})
}

type vm struct {
	types.DefaultVMContext
}

func (*vm) NewPluginContext(uint32) types.PluginContext {
	return &root{}
}

type root struct {
	types.DefaultPluginContext
	id            string
	configuration string
	ticks         int
}

func (r *root) OnPluginStart(int) types.OnPluginStartStatus {
	id, err := proxywasm.GetProperty([]string{"plugin_root_id"})
	check(err)
	r.id = string(id)
	configuration, err := proxywasm.GetPluginConfiguration()
	if err != types.ErrorStatusNotFound {
		check(err)
	}
	r.configuration = string(configuration)
	if r.id == "hello" {
		proxywasm.LogInfo("Hello, World!")
		check(proxywasm.SetTickPeriodMilliSeconds(100))
	}
	return types.OnPluginStartStatus(r.configuration != "refuse")
}

func (r *root) OnTick() {
	r.ticks++
	proxywasm.LogInfof("tick %d", r.ticks)
}

func (r *root) NewHttpContext(contextID uint32) types.HttpContext {
	switch r.id {
	case "network": // without an HTTP context the SDK asks for a TCP context
		return nil
	case "headers":
		return &headers{contextID: contextID}
	case "body":
		return &body{}
	}
	return &config{value: r.configuration}
}

func (*root) NewTcpContext(uint32) types.TcpContext {
	return &network{}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// headers logs the request's headers, adds some, answers /hello itself.
type headers struct {
	types.DefaultHttpContext
	contextID uint32
}

func (h *headers) OnHttpRequestHeaders(int, bool) types.Action {
	all, err := proxywasm.GetHttpRequestHeaders()
	check(err)
	for _, nv := range all {
		proxywasm.LogInfof("#%d -> %s: %s", h.contextID, nv[0], nv[1])
	}
	path, err := proxywasm.GetHttpRequestHeader(":path")
	check(err)
	if path == "/hello" {
		check(proxywasm.SendHttpResponse(200, [][2]string{{"powered-by", "proxy-wasm"}},
			[]byte("Hello, World!\n"), -1))
		return types.ActionPause
	}
	check(proxywasm.ReplaceHttpRequestHeader("x-from-plugin", "yes"))
	return types.ActionContinue
}

func (h *headers) OnHttpResponseHeaders(int, bool) types.Action {
	check(proxywasm.AddHttpResponseHeader("x-plugin", "go"))
	return types.ActionContinue
}

func (h *headers) OnHttpStreamDone() {
	proxywasm.LogInfof("#%d completed", h.contextID)
}

// body changes the request's body as the header buffer-operation says, redacts secret responses.
type body struct {
	types.DefaultHttpContext
	operation string
}

func (b *body) OnHttpRequestHeaders(int, bool) types.Action {
	b.operation, _ = proxywasm.GetHttpRequestHeader("buffer-operation")
	check(proxywasm.RemoveHttpRequestHeader("content-length"))
	return types.ActionContinue
}

func (b *body) OnHttpRequestBody(size int, isEnd bool) types.Action {
	if !isEnd {
		return types.ActionPause
	}
	original, err := proxywasm.GetHttpRequestBody(0, size)
	check(err)
	proxywasm.LogInfof("original request body: %s", original)
	switch b.operation {
	case "append":
		check(proxywasm.AppendHttpRequestBody([]byte("[appended]")))
	case "prepend":
		check(proxywasm.PrependHttpRequestBody([]byte("[prepended]")))
	default:
		check(proxywasm.ReplaceHttpRequestBody([]byte("[replaced]")))
	}
	return types.ActionContinue
}

func (b *body) OnHttpResponseHeaders(int, bool) types.Action {
	check(proxywasm.RemoveHttpResponseHeader("content-length"))
	return types.ActionContinue
}

func (b *body) OnHttpResponseBody(size int, isEnd bool) types.Action {
	if !isEnd {
		return types.ActionPause
	}
	original, err := proxywasm.GetHttpResponseBody(0, size)
	check(err)
	if strings.Contains(string(original), "secret") {
		redacted := fmt.Sprintf("Original message body (%d bytes) redacted.\n", size)
		check(proxywasm.ReplaceHttpResponseBody([]byte(redacted)))
	}
	return types.ActionContinue
}

// config adds a header whose value is the plugin's configuration.
type config struct {
	types.DefaultHttpContext
	value string
}

func (c *config) OnHttpResponseHeaders(int, bool) types.Action {
	check(proxywasm.AddHttpResponseHeader("custom-header", c.value))
	return types.ActionContinue
}

// network logs addresses and bytes of a TCP session.
type network struct {
	types.DefaultTcpContext
}

func property(path ...string) string {
	value, err := proxywasm.GetProperty(path)
	check(err)
	return string(value)
}

func (*network) OnDownstreamData(size int, _ bool) types.Action {
	if size > 0 {
		data, err := proxywasm.GetDownstreamData(0, size)
		check(err)
		proxywasm.LogInfof("downstream %s -> %s", property("source", "address"),
			property("destination", "address"))
		proxywasm.LogInfof(">>>>>> downstream data received >>>>>>\n%s", data)
	}
	return types.ActionContinue
}

func (*network) OnUpstreamData(size int, _ bool) types.Action {
	if size > 0 {
		data, err := proxywasm.GetUpstreamData(0, size)
		check(err)
		proxywasm.LogInfof("upstream %s", property("upstream", "address"))
		proxywasm.LogInfof("<<<<<< upstream data received <<<<<<\n%s", data)
	}
	return types.ActionContinue
}

func (*network) OnStreamDone() {
	proxywasm.LogInfo("connection complete!")
}
