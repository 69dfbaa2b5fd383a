/**
 * Makes docs/pictures/panel.png: `node test/tools/panel-picture.ts [folder]`. With a folder it leaves there what people
 * look at before a change: desktop and phone, light and dark, with everybody well, with the compose-agent gone, and with
 * a question asked.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { openChromium } from "../support/chromium.ts";
import { panelBench, PERSON, type PanelBench } from "../support/panel-bench.ts";
import { busyEvening, everybodyTells } from "../support/panel-scene.ts";

const NOTICE = "This cluster is a TiKV stand-in: what happens here says nothing about the real one.";
const SIZES = {
  desktop: { width: 1280, height: 900 },
  phone: { width: 390, height: 844 },
  page: { width: 1180, height: 760 },
} as const;

interface Shot {
  readonly path: string;
  readonly size: keyof typeof SIZES;
  readonly colorScheme: "light" | "dark";
  readonly asks?: true;
}

async function shoot(browser: Browser, bench: PanelBench, { path, size, colorScheme, asks }: Shot): Promise<void> {
  const page = await browser.newPage({ viewport: SIZES[size], colorScheme });
  await page.goto(bench.panel.pageUrl);
  await page.getByLabel("Name").fill(PERSON.name);
  await page.getByLabel("Password").fill(PERSON.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#step-7").waitFor();
  await page.locator(".link.ok").waitFor();
  if (asks) {
    await page.getByRole("button", { name: "Resume tikv1" }).click();
    await page.locator("#done").getByText("resume tikv1").first().waitFor();
    await page.getByRole("button", { name: "Stop tikv0" }).click();
  }
  await page.screenshot({ path, fullPage: !asks && size !== "page" });
  await page.close();
}

const folder = process.argv[2];
const control = busyEvening(Date.now());
await using bench = await panelBench(control, { titles: { deployment: "tikv-3f2a", notice: NOTICE } });
const { hush } = await everybodyTells(bench);
const browser = await openChromium();
try {
  if (folder === undefined) {
    const pictures = join(import.meta.dirname, "..", "..", "docs", "pictures");
    mkdirSync(pictures, { recursive: true });
    await shoot(browser, bench, { path: join(pictures, "panel.png"), size: "page", colorScheme: "light" });
  } else {
    mkdirSync(folder, { recursive: true });
    const all = async (name: string, more: { readonly asks?: true } = {}) => {
      for (const size of ["desktop", "phone"] as const)
        for (const colorScheme of ["light", "dark"] as const)
          await shoot(browser, bench, {
            path: join(folder, `${name}-${size}-${colorScheme}.png`),
            size,
            colorScheme,
            ...more,
          });
    };
    await all("well");
    await all("asks", { asks: true });
    await hush();
    control.down = "connect ECONNREFUSED compose-agent:8701";
    bench.clock.move(60_000);
    await all("gone");
  }
} finally {
  await browser.close();
}
