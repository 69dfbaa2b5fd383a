import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Hono, type Context } from "hono";
import { getConnInfo } from "@hono/node-server/conninfo";
import { bodyLimit } from "hono/body-limit";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { secureHeaders } from "hono/secure-headers";
import { z } from "zod";
import { errorText } from "../base/errors.ts";
import type { Deps } from "../protocol.ts";
import { PEOPLE_MAY, type Actions } from "./actions.ts";
import type { Attempts } from "./attempts.ts";
import type { ControlPort } from "./control-port.ts";
import { streamEvents } from "./events.ts";
import type { Gatherer } from "./gather.ts";
import { sameToken, type SignIn, type SignIns } from "./sign-ins.ts";
import type { Users } from "./users.ts";
import { doneText } from "./web/done.ts";
import { COMMAND_WORDS } from "./web/forms.ts";
import { page, type Titles } from "./web/page.ts";
import { confirmPage, refusedPage, signInPage } from "./web/small-pages.ts";

const COOKIE = "status_panel";
const MAX_FORM_BYTES = 16 * 1024;

export interface PeopleOptions {
  readonly users: Users;
  readonly signIns: SignIns;
  readonly attempts: Attempts;
  readonly gatherer: Gatherer;
  readonly actions: Actions;
  readonly control: Pick<ControlPort, "post">;
  readonly titles: Titles;
  /** Names under which people reach the page, without ports; anything else is refused (DNS rebinding). */
  readonly hosts: readonly string[];
  /** Only over TLS may the cookie travel: true where a proxy in front speaks it. */
  readonly secureCookie: boolean;
  /** Ends with the panel. */
  readonly signal: AbortSignal;
}

type Env = { Variables: { signIn: SignIn } };

const ASSETS = {
  "panel.css": ["text/css; charset=utf-8", join(import.meta.dirname, "web", "panel.css")],
  "panel.js": ["text/javascript; charset=utf-8", join(import.meta.dirname, "web", "panel.js")],
  "icon.svg": ["image/svg+xml", join(import.meta.dirname, "web", "icon.svg")],
  "idiomorph.js": ["text/javascript; charset=utf-8", fileURLToPath(import.meta.resolve("idiomorph"))],
} as const;

/** The page, for people who have signed in. */
export function peopleApp(options: PeopleOptions, deps: Pick<Deps, "clock" | "log">): Hono<Env> {
  const app = new Hono<Env>();
  app.use(headers());
  app.use(async (c, next) => {
    const host = hostName(c.req.header("host"));
    if (host === null || !options.hosts.includes(host)) return c.text("this panel has another name", 421);
    return await next();
  });
  app.get("/health", (c) => c.json({ status: "ok" }));
  app.get("/assets/:file", async (c) => {
    const asset = c.req.param("file");
    if (!Object.hasOwn(ASSETS, asset)) return c.notFound();
    const [type, path] = ASSETS[asset as keyof typeof ASSETS];
    return c.body(await readFile(path, "utf8"), 200, { "content-type": type, "cache-control": "no-cache" });
  });
  app.use(bodyLimit({ maxSize: MAX_FORM_BYTES }));
  // Other sites' forms: the browser says where they come from, and the form's own token they cannot know.
  app.on("POST", "*", async (c, next) => (fromHere(c) ? await next() : refused(c, 403, "This form is not from here.")));
  signingIn(app, options, deps);
  app.use(async (c, next) => {
    const signIn = signedIn(c, options);
    if (signIn === null) return wantsPage(c) ? c.redirect("/sign-in", 303) : c.json({ text: "Sign in first." }, 401);
    c.set("signIn", signIn);
    return await next();
  });
  app.on("POST", "*", async (c, next) => {
    const given = (await formOf(c))["form_token"] ?? "";
    if (!sameToken(given, c.var.signIn.formToken))
      return refused(c, 403, "This form is not from your page. Reload it and try again.");
    return await next();
  });
  pages(app, options, deps);
  app.onError((error, c) => {
    deps.log.error("panel.failed", { path: c.req.path, why: errorText(error) });
    return c.text("the panel could not do that", 500);
  });
  return app;
}

function headers() {
  return secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'"],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
      baseUri: ["'none'"],
      frameAncestors: ["'none'"],
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["panel"],
    },
    xFrameOptions: "DENY",
    strictTransportSecurity: false,
    referrerPolicy: "same-origin",
  });
}

function signingIn(
  app: Hono<Env>,
  { users, signIns, attempts, secureCookie }: PeopleOptions,
  { log }: Pick<Deps, "log">,
): void {
  app.get("/sign-in", (c) => c.html(signInPage(null, users.names().length === 0)));
  app.post("/sign-in", async (c) => {
    const { name = "", password = "" } = await formOf(c);
    const keys = [`name ${name}`, `from ${getConnInfo(c).remote.address ?? ""}`];
    const waitMs = attempts.waitMs(keys);
    if (waitMs > 0) {
      c.header("retry-after", String(Math.ceil(waitMs / 1_000)));
      return c.html(signInPage("Too many attempts. Try again in a minute.", false), 429);
    }
    // Counted before it is looked at: several at once are several.
    attempts.failed(keys);
    if (!(await users.matches(name, password))) {
      log.warn("panel.sign-in-refused", {});
      return c.html(signInPage("Name or password is wrong.", false), 403);
    }
    attempts.succeeded(keys);
    log.info("panel.signed-in", { name });
    signIns.end(getCookie(c, COOKIE));
    setCookie(c, COOKIE, signIns.begin(name, users.mark(name)), {
      httpOnly: true,
      sameSite: "Lax",
      path: "/",
      secure: secureCookie,
    });
    return c.redirect("/", 303);
  });
}

function pages(app: Hono<Env>, options: PeopleOptions, deps: Pick<Deps, "clock" | "log">): void {
  const { gatherer, actions, signIns, titles, signal } = options;
  app.get("/", (c) => c.html(page(gatherer.sight(), viewerOf(c), titles)));
  app.get("/signed-in", (c) => c.json({ name: c.var.signIn.name }));
  app.get("/events", (c) => {
    const isOver = () => signedIn(c, options) === null;
    const place = c.req.header("last-event-id") ?? c.req.query("after") ?? "";
    return streamEvents(c, { gatherer, viewer: viewerOf(c), place, isOver, signal }, deps);
  });
  app.post("/sign-out", (c) => {
    signIns.end(getCookie(c, COOKIE));
    deleteCookie(c, COOKIE, { path: "/" });
    return c.redirect("/sign-in", 303);
  });
  app.post("/commands", async (c) => {
    const fields = await formOf(c);
    const read = commandForm.safeParse(fields);
    if (!read.success) return refused(c, 400, "There is no such command here.");
    const { command, component, ticket, confirmed } = read.data;
    const params = component === undefined ? { ticket } : { component };
    const { question } = COMMAND_WORDS[command];
    if (question !== null && confirmed !== "yes")
      return c.html(confirmPage(question(component ?? `ticket ${ticket}`), { ...fields, confirmed: "yes" }));
    const done = await actions.run(command, params, c.var.signIn.name, signal);
    gatherer.nudge();
    return answer(c, done.state === "success" ? 200 : 409, doneText(done));
  });
  app.post("/approvals/:id", async (c) => {
    const { verdict, reason = "", call_digest } = await formOf(c);
    if (verdict !== "approve" && verdict !== "reject") return refused(c, 400, "Approve or reject?");
    const { name } = c.var.signIn;
    const id = c.req.param("id");
    try {
      await options.control.post(
        `/api/v1/approvals/${encodeURIComponent(id)}`,
        { decision: verdict, by: `panel:${name}`, ...(reason === "" ? {} : { reason }), call_digest },
        signal,
      );
    } catch (error) {
      return answer(c, 409, `Not decided: ${errorText(error)}`);
    } finally {
      gatherer.nudge();
    }
    deps.log.info("panel.decided", { id, verdict, by: name });
    return answer(c, 200, verdict === "approve" ? "Approved." : "Rejected.");
  });
}

const commandForm = z.object({
  command: z.enum(PEOPLE_MAY),
  component: z.string().optional(),
  ticket: z.coerce.number().int().positive().optional(),
  confirmed: z.string().optional(),
});

/** Null also for somebody who was removed or given another password since. */
function signedIn(c: Context<Env>, { signIns, users }: PeopleOptions): SignIn | null {
  const signIn = signIns.find(getCookie(c, COOKIE));
  return signIn !== null && users.mark(signIn.name) === signIn.mark ? signIn : null;
}

function viewerOf(c: Context<Env>): SignIn {
  return c.var.signIn;
}

/** Text fields alone; Hono keeps the parsed body for whoever asks again. */
async function formOf(c: Context<Env>): Promise<Readonly<Record<string, string>>> {
  const body = await c.req.parseBody();
  return Object.fromEntries(
    Object.entries(body).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])),
  );
}

/** Browsers send one of the two with every POST; a program that sends neither has no cookie that it was tricked into. */
function fromHere(c: Context<Env>): boolean {
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  const origin = c.req.header("origin");
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === c.req.header("host");
}

function wantsPage(c: Context<Env>): boolean {
  return c.req.method === "GET" && c.req.path === "/";
}

function answer(c: Context<Env>, status: 200 | 409, text: string): Response | Promise<Response> {
  if (c.req.header("accept") === "application/json") return c.json({ text }, status);
  return status === 200 ? c.redirect("/", 303) : c.html(refusedPage("It was not done", text), status);
}

function refused(c: Context<Env>, status: 400 | 403, text: string): Response | Promise<Response> {
  if (c.req.header("accept") === "application/json") return c.json({ text }, status);
  return c.html(refusedPage("Refused", text), status);
}

function hostName(host: string | undefined): string | null {
  return host !== undefined && URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : null;
}
