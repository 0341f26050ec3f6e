// Searches as addresses: what stands in them is what is asked for, and nothing of a person.

/** An address with these parameters; empty ones are left out. */
export function address(path: string, parameters: Record<string, string | readonly string[] | boolean | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    const text = typeof value === "boolean" ? (value ? "yes" : "") : Array.isArray(value) ? value.join(",") : ((value as string | undefined) ?? "");
    if (text) {
      search.set(name, text);
    }
  }
  const query = search.toString();
  return query ? `${path}?${query}` : path;
}

/** The parameters of an address. */
export function parameters(url: string): URLSearchParams {
  return new URL(url, "http://console.invalid").searchParams;
}

/** Variants as an address lists them. */
export function variantsOf(search: URLSearchParams): string[] {
  return (search.get("srv") ?? "").split(",").filter((variant) => variant);
}

/** Whether an address is one of ours: what was remembered before a login leads nowhere else. */
export function isOwn(path: string | null): path is string {
  return path !== null && path.startsWith("/") && !path.startsWith("//") && !path.includes("\\") && !path.startsWith("/saml/");
}
