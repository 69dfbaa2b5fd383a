/**
 * Readies a bare build machine: packages, a running Docker engine, base images. Idempotent, and silent when there is
 * nothing to do. A developer's laptop with Docker and the internet needs none of it.
 */
import { DEBIAN_PROMETHEUS, ensureBaseImages, ensureDebianPrometheus } from "./base-images.ts";
import { ensureDockerDaemon } from "./docker-daemon.ts";
import { ensurePackages } from "./packages.ts";
import { say } from "./say.ts";

await ensurePackages();
if (await ensureDockerDaemon()) {
  await ensureBaseImages();
  await ensureDebianPrometheus();
} else {
  say(`no Docker engine here and none can be started; what needs one is not run (nor is ${DEBIAN_PROMETHEUS} made)`);
}
