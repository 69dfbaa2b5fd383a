import axe from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { chromiumProgram, openChromium } from "../support/chromium.ts";
import { cutProxy } from "../support/cut-proxy.ts";
import { panelBench, PERSON, type PanelBench } from "../support/panel-bench.ts";
import { approval, busyEvening, entry, everybodyTells, session, SESSION, ticket } from "../support/panel-scene.ts";
import { ScriptedControl } from "../support/scripted-control.ts";
import type { PanelOptions } from "../../harness/panel/panel.ts";

const PATIENCE_MS = 60_000;

let browser: Browser;

async function open(control: ScriptedControl, changes: Partial<PanelOptions> = {}): Promise<PanelBench> {
  const bench = await panelBench(control, changes);
  onTestFinished(() => bench[Symbol.asyncDispose]());
  return bench;
}

/** A page of its own, which fails the test for whatever a policy refuses or a script throws. */
async function newPage(options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
  const context: BrowserContext = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      complaints.push(message.text());
  });
  onTestFinished(async () => {
    await context.close();
    expect(complaints).toEqual([]);
  });
  return page;
}

async function signIn(page: Page, url: string, password: string = PERSON.password): Promise<void> {
  await page.goto(url);
  await page.getByLabel("Name").fill(PERSON.name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

const textOf = (page: Page, selector: string) => page.locator(selector).innerText();

describe.skipIf(chromiumProgram() === null)("the status panel in Chromium", () => {
  beforeAll(async () => {
    browser = await openChromium();
  });
  afterAll(() => browser.close());

  test("lets in with the right password only, and out again", async () => {
    const bench = await open(new ScriptedControl());
    const page = await newPage();
    await signIn(page, bench.panel.pageUrl, "not the password");
    await page.getByText("Name or password is wrong.").waitFor();
    await signIn(page, bench.panel.pageUrl);
    await page.getByText("All quiet: no open incident").waitFor();
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Lax" });
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.context().addCookies(cookie === undefined ? [] : [cookie]);
    await page.goto(bench.panel.pageUrl);
    expect(new URL(page.url()).pathname).toBe("/sign-in");
  });

  test("shows planes, programs, cluster, incidents, session, approvals and watchdog at a glance", async () => {
    const notice = "This cluster is a stand-in";
    const bench = await open(busyEvening(Date.now()), { titles: { deployment: "tikv-3f2a", notice } });
    await everybodyTells(bench);
    const page = await newPage();
    await signIn(page, bench.panel.pageUrl);
    await page.getByText("1 proposal waits for a person").waitFor();
    await page.locator("#step-7").waitFor();
    await page.locator("#watchdog").getByText("restart 1 of 5, after 10.4 s").waitFor();
    expect(await page.getByRole("note").innerText()).toBe(notice);
    const planes = await textOf(page, "#planes");
    for (const words of ["status_panel", "compose_agent", "alive", "1.2.3", "61 min", "4 min", "212 in all"])
      expect(planes).toContain(words);
    expect(await textOf(page, "#cluster")).toMatch(/6 of 7 components running[^]*tikv1\s+▲ paused/);
    expect(await textOf(page, "#incidents")).toMatch(/critical[^]*tikv1 does not answer; 29 %[^]*12 regions/);
    expect(await textOf(page, "#session")).toContain("This operator follows a script");
    const landmarks = ["Approvals", "Incidents", "Session", "Cluster", "Control planes", "Programs", "Watchdog"];
    for (const name of landmarks) expect(await page.getByRole("region", { name, exact: true }).count(), name).toBe(1);
  });

  test("steps appear as they happen, and a broken connection goes on where it was", async () => {
    const control = busyEvening(Date.now());
    const steps = [entry(1)];
    control.answers.set(`/api/v1/sessions/${SESSION}/entries`, (query: URLSearchParams) => ({
      entries: steps.filter(({ id }) => id > Number(query.get("after"))),
    }));
    const bench = await open(control);
    await using wire = await cutProxy(bench.panel.pageUrl);
    const page = await newPage();
    await signIn(page, wire.url);
    await page.locator("#step-1").waitFor();
    await page.locator("#step-1").evaluate((item) => item.setAttribute("data-seen", "yes"));
    steps.push(entry(2));
    await page.locator("#step-2").waitFor();
    wire.cut();
    await page.getByText("reconnecting").waitFor();
    steps.push(entry(3), entry(4));
    const again = page.waitForRequest((request) => request.url().includes("/events"));
    wire.mend();
    expect((await (await again).allHeaders())["last-event-id"]).toBe(`${SESSION}/2`);
    await page.locator("#step-4").waitFor();
    const ids = await page.locator("#steps li").evaluateAll((items) => items.map((item) => item.id));
    expect(ids).toEqual(["step-1", "step-2", "step-3", "step-4"]);
    expect(await page.locator("#step-1").getAttribute("data-seen")).toBe("yes");
    const next = session(Date.now(), { sessionId: "next-session" });
    control.answers.set("/api/v1/sessions/next-session/entries", {
      entries: [entry(9, { sessionId: "next-session" })],
    });
    control.answers.set("/api/v1/sessions", { sessions: [next] });
    await page.locator("#step-9").waitFor();
    expect(await page.locator("#steps li").count()).toBe(1);
  });

  test("a proposal is approved with the keyboard, bound to the call that was shown; what was typed stays", async () => {
    const control = busyEvening(Date.now());
    const bench = await open(control);
    const page = await newPage();
    await signIn(page, bench.panel.pageUrl);
    const reason = page.getByLabel("Reason");
    await reason.focus();
    await page.keyboard.type("seen and under");
    const second = approval(Date.now(), { id: "bb02", tool: "restart_container" });
    control.answers.set("/api/v1/approvals", { approvals: [second, approval(Date.now())] });
    await page.getByText("2 proposals wait for a person").waitFor();
    await page.keyboard.type("stood");
    expect(await page.locator("#approval-a81c02f4-reason").inputValue()).toBe("seen and understood");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.id")).toBe("approval-a81c02f4-approve");
    await page.keyboard.press("Enter");
    await page.getByText("Approved.").waitFor();
    expect(control.posted).toEqual([
      {
        target: "/api/v1/approvals/a81c02f4",
        body: { decision: "approve", by: "panel:anna", reason: "seen and understood", call_digest: "sha256:00" },
      },
    ]);
  });

  test("a button asks, runs its command and shows outcome, place and plane", async () => {
    const control = busyEvening(Date.now());
    const bench = await open(control);
    await everybodyTells(bench);
    const page = await newPage();
    await signIn(page, bench.panel.pageUrl);
    await page.getByRole("button", { name: "Restart tikv0" }).click();
    await page.getByRole("dialog").getByText("Restart tikv0?").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Restart tikv0" }).press("Enter");
    await page.getByRole("button", { name: "Yes" }).press("Enter");
    await page.locator("#said").getByText("restart tikv0: done · by the compose-agent · plane status_panel").waitFor();
    await page.locator("#done").getByText("took 1.3 s").waitFor();
    expect(control.executed).toEqual([{ name: "restart", params: { component: "tikv0" } }]);
    control.outcome = { status: "failed", error: "tikv1 is not paused" };
    await page.getByRole("button", { name: "Resume tikv1" }).click();
    await page.locator("#said").getByText("resume tikv1: failed").waitFor();
    await page.getByRole("button", { name: "Hold ticket 41" }).click();
    await page.getByRole("button", { name: "Yes" }).click();
    await expect.poll(() => control.executed.at(-1)).toEqual({ name: "ticket_hold", params: { ticket: 41 } });
  });

  test("a compose-agent that is gone is shown as gone, what is old as old, and commands are refused with the reason", async () => {
    const control = busyEvening(Date.now());
    const bench = await open(control);
    const { hush } = await everybodyTells(bench);
    const page = await newPage();
    await signIn(page, bench.panel.pageUrl);
    await page.locator("#program-compose-agent-compose-agent-1").getByText("alive").waitFor();
    await hush();
    control.down = "nobody answers at compose-agent:8701";
    bench.clock.move(60_000);
    await page.getByText("The compose-agent does not answer").waitFor();
    await page.locator("#program-compose-agent-compose-agent-1").getByText("gone").waitFor();
    await page.locator("#cluster").getByText("out of date").waitFor();
    await page.locator("#incidents").getByText("cannot be read now").waitFor();
    // The watchdog tells the panel itself: it is heard all the same.
    const seen = { target: "compose-agent", state: "unhealthy", reason: "it has exited with code 137" };
    await bench.tell("watchdog", { compose_agent: false, control_plane: "status_panel" }, { targets: [seen] });
    await page.locator("#watchdog").getByText("it has exited with code 137").waitFor();
    await page.getByRole("button", { name: "Resume tikv1" }).click();
    await page
      .locator("#said")
      .getByText(/refused\. the compose-agent does not answer \(nobody answers at/)
      .waitFor();
    expect(control.executed).toEqual([]);
    control.down = null;
    await bench.tell("compose-agent");
    await page.locator("#program-compose-agent-compose-agent-1").getByText("alive").waitFor();
    await page.getByText("1 proposal waits for a person").waitFor();
  });

  test("what tickets, operators and programs say is text, whatever it looks like", async () => {
    const evil = `<img src=x onerror="globalThis.owned=1"><script>globalThis.owned=1</script>"'&lt;b&gt;`;
    const now = Date.now();
    const control = busyEvening(now);
    const said = { message: evil, invariant: evil, component: evil, holder: evil, batchKey: evil };
    control.answers.set("/api/v1/tickets", { tickets: [ticket(said)] });
    control.answers.set("/api/v1/sessions", { sessions: [session(now, { operator: evil, reason: evil })] });
    const step = entry(1, { type: "tool_call", summary: evil, raw: `${evil} ${evil}`, tool: evil });
    control.answers.set(`/api/v1/sessions/${SESSION}/entries`, (query: URLSearchParams) => ({
      entries: query.get("after") === "0" ? [step] : [],
    }));
    control.answers.set("/api/v1/approvals", { approvals: [approval(now, { tool: evil, input: { evil } })] });
    const bench = await open(control);
    await bench.tell("agent", { version: evil.slice(0, 60), features: ["<b>x</b>"] }, { doing: evil });
    const page = await newPage();
    await signIn(page, bench.panel.pageUrl);
    await page.locator("#step-1").waitFor();
    await page.locator(".message").getByText(evil, { exact: true }).waitFor();
    // Once drawn by the server and once through the stream.
    control.answers.set("/api/v1/tickets", { tickets: [ticket({ ...said, message: `${evil} again` })] });
    await page.locator(".message").getByText(`${evil} again`, { exact: true }).waitFor();
    expect(await page.locator("img, body script:not([src])").count()).toBe(0);
    expect(await page.evaluate(() => "owned" in globalThis)).toBe(false);
  });

  test.each(["light", "dark"] as const)(
    "in %s colours axe finds nothing that somebody could not use",
    async (colorScheme) => {
      const bench = await open(busyEvening(Date.now()));
      await everybodyTells(bench);
      const page = await newPage({ colorScheme });
      await page.goto(bench.panel.pageUrl);
      expect(await violations(page)).toEqual([]);
      await signIn(page, bench.panel.pageUrl);
      await page.locator("#step-7").waitFor();
      await page.getByText("The state that it was based on").click();
      expect(await violations(page)).toEqual([]);
      await page.getByRole("button", { name: "Stop tikv0" }).click();
      await page.getByRole("dialog").waitFor();
      expect(await violations(page)).toEqual([]);
      await page.setViewportSize({ width: 390, height: 844 });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390);
    },
  );

  test("without scripts a page asks in the dialog's place, and the command runs", async () => {
    const control = busyEvening(Date.now());
    const bench = await open(control);
    await everybodyTells(bench);
    const page = await newPage({ javaScriptEnabled: false });
    await signIn(page, bench.panel.pageUrl);
    await page.getByRole("button", { name: "Stop pd1" }).click();
    await page.getByText("Stop pd1? It stays down until somebody starts it.").waitFor();
    expect(control.executed).toEqual([]);
    await page.getByRole("button", { name: "Yes" }).click();
    await page.locator("#done").getByText("stop pd1").waitFor();
    expect(control.executed).toEqual([{ name: "stop", params: { component: "pd1" } }]);
  });
});

async function violations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { axe: inPage } = globalThis as unknown as { axe: { run(): Promise<{ violations: AxeViolation[] }> } };
    return (await inPage.run()).violations;
  });
  return found.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

interface AxeViolation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}
