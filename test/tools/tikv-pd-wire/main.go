// A PD with the official message types and the official gRPC server, for stores alone: what a store says is read by
// the code that a real PD reads it with. Every request goes to standard output as one line of JSON, with the fields
// that the official types do not know; every line of standard input, {"store": "4", "reply": {...}}, goes to that
// store as a reply to its region heartbeats. Ids, epochs and the like are not judged here.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/gogo/protobuf/jsonpb"
	"github.com/gogo/protobuf/proto"
	"github.com/pingcap/kvproto/pkg/metapb"
	"github.com/pingcap/kvproto/pkg/pdpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

const clusterID = 7000000000000000001

type server struct {
	pdpb.PDServer // whatever a store should not call: a nil dereference ends the program

	mu           sync.Mutex
	address      string
	lastID       uint64
	bootstrapped bool
	stores       map[uint64]*metapb.Store
	streams      map[string]pdpb.PD_RegionHeartbeatServer
}

func (s *server) header() *pdpb.ResponseHeader { return &pdpb.ResponseHeader{ClusterId: clusterID} }

// said prints the request and refuses what validateRequest of tikv/pd:server/grpc_service.go refuses.
func (s *server) said(method string, header *pdpb.RequestHeader, request proto.Message) error {
	text := bytes.Buffer{}
	marshaler := jsonpb.Marshaler{OrigName: true, EmitDefaults: true, EnumsAsInts: true}
	if err := marshaler.Marshal(&text, request); err != nil {
		return err
	}
	unknown := unknownIn(reflect.ValueOf(request), method)
	line, err := json.Marshal(map[string]any{"method": method, "request": json.RawMessage(text.Bytes()), "unknown": unknown})
	if err != nil {
		return err
	}
	s.mu.Lock()
	fmt.Println(string(line))
	s.mu.Unlock()
	if method != "GetMembers" && header.GetClusterId() != clusterID {
		return status.Errorf(codes.FailedPrecondition, "mismatch cluster id, need %d but got %d", uint64(clusterID), header.GetClusterId())
	}
	return nil
}

// unknownIn names the messages that hold bytes of fields which they do not have.
func unknownIn(value reflect.Value, path string) []string {
	found := []string{}
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !value.IsNil() {
			found = append(found, unknownIn(value.Elem(), path)...)
		}
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			return found
		}
		for at := 0; at < value.Len(); at++ {
			found = append(found, unknownIn(value.Index(at), path)...)
		}
	case reflect.Struct:
		for at := 0; at < value.NumField(); at++ {
			field := value.Type().Field(at)
			if field.Name == "XXX_unrecognized" && value.Field(at).Len() > 0 {
				found = append(found, path)
			} else if field.IsExported() {
				found = append(found, unknownIn(value.Field(at), path+"."+field.Name)...)
			}
		}
	}
	return found
}

func (s *server) GetMembers(_ context.Context, request *pdpb.GetMembersRequest) (*pdpb.GetMembersResponse, error) {
	self := &pdpb.Member{Name: "pd0", MemberId: 1, ClientUrls: []string{"http://" + s.address}, PeerUrls: []string{"http://" + s.address}}
	err := s.said("GetMembers", request.GetHeader(), request)
	return &pdpb.GetMembersResponse{Header: s.header(), Members: []*pdpb.Member{self}, Leader: self, EtcdLeader: self}, err
}

func (s *server) IsBootstrapped(_ context.Context, request *pdpb.IsBootstrappedRequest) (*pdpb.IsBootstrappedResponse, error) {
	err := s.said("IsBootstrapped", request.GetHeader(), request)
	return &pdpb.IsBootstrappedResponse{Header: s.header(), Bootstrapped: s.bootstrapped}, err
}

func (s *server) Bootstrap(_ context.Context, request *pdpb.BootstrapRequest) (*pdpb.BootstrapResponse, error) {
	if err := s.said("Bootstrap", request.GetHeader(), request); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bootstrapped {
		refused := &pdpb.Error{Type: pdpb.ErrorType_ALREADY_BOOTSTRAPPED, Message: "cluster is already bootstrapped"}
		return &pdpb.BootstrapResponse{Header: &pdpb.ResponseHeader{ClusterId: clusterID, Error: refused}}, nil
	}
	s.bootstrapped = true
	s.stores[request.GetStore().GetId()] = request.GetStore()
	return &pdpb.BootstrapResponse{Header: s.header()}, nil
}

func (s *server) AllocID(_ context.Context, request *pdpb.AllocIDRequest) (*pdpb.AllocIDResponse, error) {
	err := s.said("AllocID", request.GetHeader(), request)
	return &pdpb.AllocIDResponse{Header: s.header(), Id: s.next()}, err
}

func (s *server) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	return s.lastID
}

func (s *server) PutStore(_ context.Context, request *pdpb.PutStoreRequest) (*pdpb.PutStoreResponse, error) {
	err := s.said("PutStore", request.GetHeader(), request)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores[request.GetStore().GetId()] = request.GetStore()
	return &pdpb.PutStoreResponse{Header: s.header()}, err
}

func (s *server) GetStore(_ context.Context, request *pdpb.GetStoreRequest) (*pdpb.GetStoreResponse, error) {
	err := s.said("GetStore", request.GetHeader(), request)
	s.mu.Lock()
	defer s.mu.Unlock()
	return &pdpb.GetStoreResponse{Header: s.header(), Store: s.stores[request.GetStoreId()]}, err
}

func (s *server) GetRegionByID(_ context.Context, request *pdpb.GetRegionByIDRequest) (*pdpb.GetRegionResponse, error) {
	err := s.said("GetRegionByID", request.GetHeader(), request)
	return &pdpb.GetRegionResponse{Header: s.header()}, err
}

func (s *server) StoreHeartbeat(_ context.Context, request *pdpb.StoreHeartbeatRequest) (*pdpb.StoreHeartbeatResponse, error) {
	err := s.said("StoreHeartbeat", request.GetHeader(), request)
	return &pdpb.StoreHeartbeatResponse{Header: s.header(), ClusterVersion: "8.5.7", State: metapb.NodeState_Serving}, err
}

func (s *server) AskBatchSplit(_ context.Context, request *pdpb.AskBatchSplitRequest) (*pdpb.AskBatchSplitResponse, error) {
	err := s.said("AskBatchSplit", request.GetHeader(), request)
	ids := []*pdpb.SplitID{}
	for part := uint32(0); part < request.GetSplitCount(); part++ {
		id := &pdpb.SplitID{NewRegionId: s.next()}
		for range request.GetRegion().GetPeers() {
			id.NewPeerIds = append(id.NewPeerIds, s.next())
		}
		ids = append(ids, id)
	}
	return &pdpb.AskBatchSplitResponse{Header: s.header(), Ids: ids}, err
}

func (s *server) ReportBatchSplit(_ context.Context, request *pdpb.ReportBatchSplitRequest) (*pdpb.ReportBatchSplitResponse, error) {
	err := s.said("ReportBatchSplit", request.GetHeader(), request)
	return &pdpb.ReportBatchSplitResponse{Header: s.header()}, err
}

func (s *server) Tso(stream pdpb.PD_TsoServer) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return ended(err)
		}
		if err := s.said("Tso", request.GetHeader(), request); err != nil {
			return err
		}
		now := &pdpb.Timestamp{Physical: time.Now().UnixMilli(), Logical: int64(request.GetCount())}
		if err := stream.Send(&pdpb.TsoResponse{Header: s.header(), Count: request.GetCount(), Timestamp: now}); err != nil {
			return err
		}
	}
}

func (s *server) RegionHeartbeat(stream pdpb.PD_RegionHeartbeatServer) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return ended(err)
		}
		s.mu.Lock()
		s.streams[fmt.Sprint(request.GetLeader().GetStoreId())] = stream
		s.mu.Unlock()
		if err := s.said("RegionHeartbeat", request.GetHeader(), request); err != nil {
			return err
		}
	}
}

func ended(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// order sends one line of standard input to the store that it names.
func (s *server) order(line []byte) error {
	var order struct {
		Store string
		Reply json.RawMessage
	}
	if err := json.Unmarshal(line, &order); err != nil {
		return err
	}
	reply := &pdpb.RegionHeartbeatResponse{}
	if err := jsonpb.Unmarshal(bytes.NewReader(order.Reply), reply); err != nil {
		return err
	}
	reply.Header = s.header()
	s.mu.Lock()
	stream := s.streams[order.Store]
	s.mu.Unlock()
	if stream == nil {
		return fmt.Errorf("store %s has no stream", order.Store)
	}
	return stream.Send(reply)
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	pd := &server{address: listener.Addr().String(), stores: map[uint64]*metapb.Store{}, streams: map[string]pdpb.PD_RegionHeartbeatServer{}}
	// The keepalive policy of etcd, whose server PD's is (go.etcd.io/etcd/server/v3/embed: DefaultGRPCKeepAlive*).
	server := grpc.NewServer(
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 2 * time.Hour, Timeout: 20 * time.Second}),
	)
	pdpb.RegisterPDServer(server, pd)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			if err := pd.order(lines.Bytes()); err != nil {
				panic(err)
			}
		}
		os.Exit(0)
	}()
	fmt.Printf("{\"method\":\"listening\",\"request\":{\"address\":%q},\"unknown\":[]}\n", pd.address)
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}
