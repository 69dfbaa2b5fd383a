// pd-ctl is PD's own command line (tikv/pd:tools/pd-ctl), of the newest version that the module proxy has as a module.
package main

import (
	"os"

	"github.com/tikv/pd/tools/pd-ctl/pdctl"
)

func main() {
	pdctl.MainStart(os.Args[1:])
}
