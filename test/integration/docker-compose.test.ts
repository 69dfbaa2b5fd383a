import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { composeProject } from "../support/compose-project.ts";
import { describeDocker } from "../support/docker.ts";

const service = (rest: string): string => `  one: { image: "debian:bookworm-slim", command: [sleep, "1000"]${rest} }\n`;

describeDocker("compose", () => {
  test("a network that is missing is named, with what to do", async ({ signal }) => {
    await using project = await composeProject(service(""), { network: "{ external: true, name: nobody_default }" });
    await expect(project.compose.up({}, signal)).rejects.toMatchObject({
      code: "network-missing",
      message: expect.stringMatching(/nobody_default not found: run `lab subject up tikv`/) as string,
    });
  });

  test("an image that is missing is named", async ({ signal }) => {
    await using project = await composeProject(`  one: { image: "nobody-at-all/nothing:0" }\n`);
    await expect(project.compose.up({}, signal)).rejects.toMatchObject({ code: "image-missing" });
  });

  test("a port that is taken is named", async ({ signal }) => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    try {
      await using project = await composeProject(service(`, ports: ["127.0.0.1:${port}:80"]`));
      await expect(project.compose.up({}, signal)).rejects.toMatchObject({
        code: "port-taken",
        message: expect.stringContaining(`port ${port} is taken`) as string,
      });
    } finally {
      server.close();
    }
  });
});
