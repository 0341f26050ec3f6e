import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  testMatch: "**/*.spec.ts",
  globalSetup: "./tests/stage.ts",
  outputDir: "test-results",
  reporter: [["list"]],
  // Pages wait for nothing but their own server: what takes longer hangs, also on a machine that does much else.
  timeout: 180_000,
  expect: { timeout: 30_000 },
  workers: 1,
  use: {
    // The server's certificate is its own anchor.
    ignoreHTTPSErrors: true,
    locale: "en-GB",
    timezoneId: "America/New_York",
    // What goes away while it is about to be clicked on is not waited for until the test ends.
    actionTimeout: 30_000,
    trace: "retain-on-failure",
    launchOptions: { executablePath: process.env.GRIDTRAIL_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--lang=en-GB"] },
  },
});
