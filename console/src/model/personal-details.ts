// What a person enters about themselves, judged as the server judges it, so that nobody waits for an answer to hear of a slip.

export interface Entered {
  firstName: string;
  lastName: string;
  emailAddress: string;
  telephoneNumber: string;
}

export type Field = keyof Entered;

/** In the order of the form. `autocomplete` is how browsers know what is asked for. */
export const FIELDS: readonly { field: Field; label: string; type: "text" | "email" | "tel"; autocomplete: string; hint?: string }[] = [
  { field: "firstName", label: "First name", type: "text", autocomplete: "given-name" },
  { field: "lastName", label: "Last name", type: "text", autocomplete: "family-name" },
  { field: "emailAddress", label: "E-mail address", type: "email", autocomplete: "email" },
  { field: "telephoneNumber", label: "Contact telephone number", type: "tel", autocomplete: "tel", hint: "Such as 020 7946 0000 or +44 20 7946 0000." },
];

/** What is wrong with each field, in words. */
export function faultsOf(entered: Entered): Partial<Record<Field, string>> {
  const text = (field: Field) => entered[field].trim();
  const faults: Partial<Record<Field, string>> = {};
  const name = (field: Field, called: string) => {
    if (text(field) === "") {
      faults[field] = `Enter your ${called}.`;
    } else if ([...text(field)].length > 100 || /\p{Cc}/u.test(text(field))) {
      faults[field] = `Your ${called} may have 100 characters at most.`;
    }
  };
  name("firstName", "first name");
  name("lastName", "last name");
  if (!isEmailAddress(text("emailAddress"))) {
    faults.emailAddress = text("emailAddress") === "" ? "Enter your e-mail address." : "An e-mail address looks like name@example.com.";
  }
  if (!isTelephoneNumber(text("telephoneNumber"))) {
    faults.telephoneNumber = text("telephoneNumber") === "" ? "Enter your telephone number." : "A telephone number has 7 to 15 digits; spaces, hyphens, dots, brackets and a plus before it are fine.";
  }
  return faults;
}

function isEmailAddress(text: string): boolean {
  const at = text.lastIndexOf("@");
  const [local, domain] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  const bytes = (of: string) => new TextEncoder().encode(of).length;
  return (
    bytes(text) <= 254 &&
    bytes(local) >= 1 &&
    bytes(local) <= 64 &&
    !/[\s\p{Cc}@<>,]/u.test(local) &&
    domain.includes(".") &&
    domain.split(".").every((label) => /^[\p{Alphabetic}\p{N}-]+$/u.test(label) && !label.startsWith("-") && !label.endsWith("-"))
  );
}

function isTelephoneNumber(text: string): boolean {
  const digits = text.replace(/\D/g, "").length;
  return text.length <= 40 && digits >= 7 && digits <= 15 && /^\+?[\d .()-]+$/.test(text);
}
