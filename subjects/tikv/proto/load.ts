import { loadPackageDefinition, type ServiceClientConstructor, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/**
 * uint64 as decimal strings, enums as numbers, bytes as Buffers, absent messages as null, absent lists as [].
 * `oneofs` adds a property that names the member that is set (`cmd` of a batch command).
 */
const definition = loadSync(["pdpb.proto", "tikvpb.proto", "health.proto"], {
  includeDirs: [import.meta.dirname],
  keepCase: true,
  longs: String,
  enums: Number,
  defaults: true,
  arrays: true,
  oneofs: true,
});

const loaded = loadPackageDefinition(definition) as unknown as {
  pdpb: { PD: ServiceClientConstructor };
  tikvpb: { Tikv: ServiceClientConstructor };
  grpc: { health: { v1: { Health: ServiceClientConstructor } } };
};

export const PdClientConstructor = loaded.pdpb.PD;
export const TikvClientConstructor = loaded.tikvpb.Tikv;
export const HealthClientConstructor = loaded.grpc.health.v1.Health;
export const pdService: ServiceDefinition = loaded.pdpb.PD.service;
export const tikvService: ServiceDefinition = loaded.tikvpb.Tikv.service;
export const healthService: ServiceDefinition = loaded.grpc.health.v1.Health.service;
