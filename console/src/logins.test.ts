import { afterEach, expect, test, vi } from "vitest";

vi.stubGlobal("location", { origin: "https://console.invalid" });
const { endSession, readWaysIn } = await import("./logins.ts");

const fetched = vi.fn<typeof fetch>();
vi.stubGlobal("fetch", fetched);
afterEach(() => fetched.mockReset());

test("somebody is logged out where the server says so, or that nobody is logged in", async () => {
  for (const status of [200, 401]) {
    fetched.mockResolvedValueOnce(new Response("", { status }));
    expect(await endSession(), String(status)).toBeUndefined();
  }
  expect(fetched).toHaveBeenCalledWith("/saml/logout", { method: "POST" });
});

test("whoever could not be logged out is told that they are still logged in", async () => {
  for (const status of [403, 500, 503]) {
    fetched.mockResolvedValueOnce(new Response("", { status }));
    const trouble = await endSession();
    expect(trouble).toMatchObject({ title: "You are still logged in", mayRetry: true });
    expect(trouble?.text).toContain(String(status));
  }
  for (const error of [new TypeError("Failed to fetch"), new DOMException("broken off", "AbortError")]) {
    fetched.mockRejectedValueOnce(error);
    expect(await endSession(), error.name).toMatchObject({ title: "You are still logged in", mayRetry: true });
  }
});

test("a list of Identity Providers that cannot be had is not one that there is none of", async () => {
  const listed = { identityProviders: ["https://idp.example"], sessionIdleSeconds: 900 };
  fetched.mockResolvedValueOnce(Response.json(listed));
  expect(await readWaysIn()).toEqual(listed);
  fetched.mockResolvedValueOnce(new Response("", { status: 404 }));
  expect(await readWaysIn()).toBe("by-token");
  fetched.mockResolvedValueOnce(new Response("", { status: 503 }));
  await expect(readWaysIn()).rejects.toThrow("Many people log in");
});
