// What somebody typed or pasted, told apart: MPAN, MPRN, Device GUID, UPRN. The server decides; this only spares a journey there.

export type Kind = "mpxn" | "device" | "uprn";

export interface Identifier {
  kind: Kind;
  /** As the services are asked. */
  text: string;
  /** What it is called. */
  name: string;
  /** What else it could be. */
  alternative?: Kind;
  /** What a person should know of it. */
  remark?: string;
}

export const KIND_NAMES: Record<Kind, string> = { mpxn: "MPxN", device: "Device GUID", uprn: "UPRN" };

const PRIMES = [3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43] as const;

/** Whether the last digit of an MPAN is what the first twelve make it. */
export function hasMpanCheckDigit(mpan: string): boolean {
  const sum = PRIMES.reduce((total, prime, at) => total + prime * Number(mpan[at]), 0);
  return (sum % 11) % 10 === Number(mpan[12]);
}

/** An EUI-64 as it is written: upper case, with hyphens. */
export function eui64(hexadecimal: string): string {
  return hexadecimal.toUpperCase().match(/../g)?.join("-") ?? hexadecimal;
}

/** Reads what was typed in any form: with blanks, hyphens, colons, quotes around it. `undefined`: it is none of them. */
export function recognise(typed: string): Identifier | undefined {
  const text = typed.normalize("NFKC").replace(/[\s\u200B\u2060\uFEFF"'`;,.:-]/g, "").replace(/^0x(?=[0-9a-f]{16}$)/i, "");
  if (/^[0-9a-f]{16}$/i.test(text)) {
    return { kind: "device", text: eui64(text), name: "Device GUID" };
  }
  if (!/^\d+$/.test(text)) {
    return undefined;
  }
  if (text.length === 13) {
    const remark = hasMpanCheckDigit(text) ? {} : { remark: "Its check digit does not fit the other digits: one of them may be mistyped. It is searched for all the same." };
    return { kind: "mpxn", text, name: "MPAN", ...remark };
  }
  if (text.length >= 6 && text.length <= 10) {
    return { kind: "mpxn", text, name: "MPRN", alternative: "uprn", remark: "A number of 6 to 10 digits can be an MPRN or a UPRN." };
  }
  if (text.length <= 12) {
    return { kind: "uprn", text, name: "UPRN" };
  }
  return undefined;
}

/** The same identifier, taken for what it could be as well. */
export function as(identifier: Identifier, kind: Kind): Identifier {
  if (identifier.kind === kind || identifier.alternative !== kind) {
    return identifier;
  }
  return { ...identifier, kind, alternative: identifier.kind, name: kind === "uprn" ? "UPRN" : "MPRN" };
}

/** What to tell somebody whose text is no identifier. */
export const IDENTIFIER_RULE =
  "Type an MPAN (13 digits), an MPRN (6 to 10 digits), a Device GUID (16 hexadecimal digits, with or without hyphens) or a UPRN (1 to 12 digits).";
