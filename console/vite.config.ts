import { defineConfig } from "vitest/config";

// One script and one sheet of styles, both with a hash in their name: nothing stands in the page itself, which the server's policy forbids.
export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    outDir: process.env.GRIDTRAIL_CONSOLE_OUT ?? "dist",
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
  },
  // For work on the pages: calls go to a server that runs.
  server: { proxy: { "^/(gridtrail\\.|saml/)": { target: process.env.GRIDTRAIL_SERVER ?? "http://127.0.0.1:8471" } } },
  test: { include: ["src/**/*.test.ts"] },
});
