module tikv-pd-wire

go 1.25

require (
	github.com/gogo/protobuf v1.3.2
	github.com/pingcap/kvproto v0.0.0-20260608025309-50b863799195
	google.golang.org/grpc v1.63.2
)

require (
	github.com/golang/protobuf v1.5.4 // indirect
	golang.org/x/net v0.21.0 // indirect
	golang.org/x/sys v0.17.0 // indirect
	golang.org/x/text v0.14.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20240227224415-6ceb2ff114de // indirect
	google.golang.org/protobuf v1.33.0 // indirect
)
