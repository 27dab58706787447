// Istio's discovery server without Kubernetes: pilot's own code, as its test harness puts it
// together, on a TCP port, with the Istio resources of a folder.
//
// usage: istiod FOLDER MESH.yaml PORT DEBUG-PORT
//
// Ports of 0 are chosen. A JSON line says which; then each line on standard input reads the folder
// again, and a JSON line answers with what changed. The debug port serves pilot's /debug pages.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"time"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/test"
)

type answer struct {
	Port      int      `json:"port,omitempty"`
	DebugPort int      `json:"debug_port,omitempty"`
	Changed   []string `json:"changed,omitempty"`
	Error     string   `json:"error,omitempty"`
}

func say(a answer) {
	_ = json.NewEncoder(os.Stdout).Encode(a)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "istiod:", err)
	os.Exit(1)
}

func key(c config.Config) string {
	return c.GroupVersionKind.Kind + "/" + c.Namespace + "/" + c.Name
}

// All resources of the folder by kind, namespace and name.
func read(folder string) (map[string]config.Config, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	all := map[string]config.Config{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		configs, unknown, err := crd.ParseInputs(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(unknown) > 0 {
			return nil, fmt.Errorf("%s: unknown kind %s", name, unknown[0].Kind)
		}
		for _, c := range configs {
			if c.Namespace == "" {
				c.Namespace = "default"
			}
			if _, twice := all[key(c)]; twice {
				return nil, fmt.Errorf("%s: %s stands twice", name, key(c))
			}
			all[key(c)] = c
		}
	}
	return all, nil
}

// Brings pilot's store from what it had to what the folder has now.
func apply(server *xds.FakeDiscoveryServer, had, now map[string]config.Config) ([]string, error) {
	var changed []string
	for k, c := range now {
		old, known := had[k]
		if known && reflect.DeepEqual(old.Spec, c.Spec) &&
			reflect.DeepEqual(old.Annotations, c.Annotations) && reflect.DeepEqual(old.Labels, c.Labels) {
			now[k] = old
			continue
		}
		changed = append(changed, k)
		var err error
		if known {
			c.ResourceVersion = old.ResourceVersion
			c.Generation = old.Generation + 1
			c.CreationTimestamp = old.CreationTimestamp
			c.ResourceVersion, err = server.Store().Update(c)
		} else {
			c.Generation = 1
			c.CreationTimestamp = time.Now()
			c.ResourceVersion, err = server.Store().Create(c)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		now[k] = c
	}
	for k, c := range had {
		if _, still := now[k]; !still {
			changed = append(changed, k)
			if err := server.Store().Delete(c.GroupVersionKind, c.Name, c.Namespace, nil); err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
		}
	}
	sort.Strings(changed)
	return changed, nil
}

func serve(t test.Failer, folder, meshFile, port, debugPort string) {
	meshConfig, err := mesh.ReadMeshConfig(meshFile)
	if err != nil {
		fail(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fail(err)
	}
	debug, err := net.Listen("tcp", "127.0.0.1:"+debugPort)
	if err != nil {
		fail(err)
	}
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		MeshConfig:      meshConfig,
		ListenerBuilder: func() (net.Listener, error) { return listener, nil },
		DebounceTime:    features.DebounceAfter,
	})
	go func() { fail(http.Serve(debug, server.DiscoveryDebug)) }()
	had := map[string]config.Config{}
	reload := func() []string {
		now, err := read(folder)
		if err == nil {
			var changed []string
			if changed, err = apply(server, had, now); err == nil {
				had = now
				return changed
			}
		}
		fail(err)
		return nil
	}
	reload()
	say(answer{
		Port:      listener.Addr().(*net.TCPAddr).Port,
		DebugPort: debug.Addr().(*net.TCPAddr).Port,
	})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		say(answer{Changed: reload()})
	}
}

func main() {
	if len(os.Args) != 5 {
		fail(fmt.Errorf("usage: %s", strings.Join([]string{"istiod", "FOLDER", "MESH.yaml", "PORT", "DEBUG-PORT"}, " ")))
	}
	err := test.Wrap(func(t test.Failer) {
		serve(t, os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	})
	if err != nil {
		fail(err)
	}
}
