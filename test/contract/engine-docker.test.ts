import { describeDocker } from "../support/docker.ts";
import { suiteContainers } from "../support/suite-containers.ts";
import { engineContract } from "./engine.suite.ts";

describeDocker("docker", () => engineContract({ name: "docker", setUp: suiteContainers, refuses: [] }));
