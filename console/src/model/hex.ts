// Bytes as a person can look at them, and as nothing else: what nobody could read is not to be read as a page.

/** Lines of sixteen: where they are, their digits, and what of them is a letter. */
export function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const digits = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = part.map((byte) => (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${digits.padEnd(47)}  ${letters}`);
  }
  return lines;
}

/** A key or the value of a header: text where it is text, else its digits. */
export function shownBytes(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (!/\p{Cc}/u.test(text)) {
      return text;
    }
  } catch {
    // It is no text.
  }
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
