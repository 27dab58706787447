// A control plane of go-control-plane's parts. Each line of its input is a snapshot to serve from
// then on, {"version": "v1", "resources": [{"@type": ..., ...}, ...]}; it prints a line with its
// port, then a line of JSON for each answer of a client.
//
// usage: gocp NODE-ID PORT
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"sync"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/wasm/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

func parseSnapshot(line []byte) (*cache.Snapshot, error) {
	var in struct {
		Version   string
		Resources []json.RawMessage
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return nil, err
	}
	byType := map[resource.Type][]types.Resource{}
	for _, text := range in.Resources {
		var any anypb.Any
		if err := protojson.Unmarshal(text, &any); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		message, err := any.UnmarshalNew()
		if err != nil {
			return nil, err
		}
		byType[any.TypeUrl] = append(byType[any.TypeUrl], message)
	}
	snapshot, err := cache.NewSnapshot(in.Version, byType)
	if err != nil {
		return nil, err
	}
	return snapshot, snapshot.Consistent()
}

var printing sync.Mutex

// answered prints an ACK or NACK; a request without a nonce is a first one.
func answered(protocol, typeURL, nonce, version string, detail *status.Status) {
	if nonce == "" {
		return
	}
	row, err := json.Marshal(map[string]string{"protocol": protocol, "type": typeURL,
		"version": version, "error": detail.GetMessage()})
	if err != nil {
		log.Fatal(err)
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(row))
}

func callbacks() server.Callbacks {
	return server.CallbackFuncs{
		StreamRequestFunc: func(_ int64, r *discovery.DiscoveryRequest) error {
			answered("sotw", r.GetTypeUrl(), r.GetResponseNonce(), r.GetVersionInfo(),
				r.GetErrorDetail())
			return nil
		},
		StreamDeltaRequestFunc: func(_ int64, r *discovery.DeltaDiscoveryRequest) error {
			answered("delta", r.GetTypeUrl(), r.GetResponseNonce(), "", r.GetErrorDetail())
			return nil
		},
	}
}

func main() {
	node, port := os.Args[1], os.Args[2]
	snapshots := cache.NewSnapshotCache(true, cache.IDHash{}, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	ads := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(ads,
		server.NewServer(context.Background(), snapshots, callbacks()))
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() { log.Fatal(ads.Serve(listener)) }()

	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		snapshot, err := parseSnapshot(line)
		if err != nil {
			log.Fatal(err)
		}
		if err := snapshots.SetSnapshot(context.Background(), node, snapshot); err != nil {
			log.Fatal(err)
		}
	}
}
