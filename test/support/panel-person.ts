import { onTestFinished } from "vitest";
import { PERSON } from "./panel-bench.ts";

/** A person at the panel, by HTTP. */
export interface PanelPerson {
  page(): Promise<string>;
  /** Sends a form of the page, confirmed. @returns what the page would say of it. */
  does(path: string, fields: Readonly<Record<string, string>>): Promise<string>;
}

/** @param panel where its page is; `who` has a password there. */
export async function panelPerson(
  { panel }: { readonly panel: { readonly pageUrl: string } },
  who: { readonly name: string; readonly password: string } = PERSON,
): Promise<PanelPerson> {
  const url = (path: string) => new URL(path, panel.pageUrl);
  const post = (path: string, fields: Record<string, string>, headers: Record<string, string>) =>
    fetch(url(path), { method: "POST", body: new URLSearchParams(fields), headers, redirect: "manual" });
  const answer = await post("/sign-in", { name: who.name, password: who.password }, {});
  const cookie = (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  // Somebody looks, so things are read often.
  const looking = new AbortController();
  onTestFinished(() => looking.abort());
  void fetch(url("/events"), { headers: { cookie }, signal: looking.signal }).catch(() => {});
  const page = async () => await (await fetch(url("/"), { headers: { cookie } })).text();
  const token = /name="form_token" value="([0-9a-f]+)"/.exec(await page())?.[1] ?? "";
  return {
    page,
    does: async (path, fields) => {
      const all = { form_token: token, confirmed: "yes", ...fields };
      const reply = await post(path, all, { cookie, accept: "application/json" });
      return ((await reply.json()) as { text: string }).text;
    },
  };
}
