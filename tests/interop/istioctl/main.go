// istioctl's proxy-config, without the rest of istioctl: `istioctl all --file DUMP` prints what
// `istioctl proxy-config all --file DUMP` does.
package main

import (
	"os"

	"istio.io/istio/istioctl/pkg/cli"
	"istio.io/istio/istioctl/pkg/proxyconfig"
)

func main() {
	command := proxyconfig.ProxyConfig(cli.NewCLIContext(nil))
	command.SilenceUsage = true
	if command.Execute() != nil {
		os.Exit(1)
	}
}
