import { describeDocker } from "../support/docker.ts";
import { suiteContainers } from "../support/suite-containers.ts";
import { faultContract } from "./fault.suite.ts";

describeDocker("docker", () => faultContract({ name: "docker", setUp: suiteContainers }));
