// The parts of a search: its key, its variants, its dates.

import { useId, useMemo, useState } from "preact/hooks";
import { VARIANTS } from "../gen/lists.ts";
import { as, type Identifier, IDENTIFIER_RULE, type Kind, KIND_NAMES, recognise } from "../model/identifier.ts";

export interface Key {
  kind: Kind;
  text: string;
}

/** The key that an address names. */
export function keyOf(search: URLSearchParams): Key | undefined {
  for (const kind of ["mpxn", "device", "uprn"] as const) {
    const text = search.get(kind);
    if (text) {
      return { kind, text };
    }
  }
  return undefined;
}

export function keyParameters(key: Key | undefined): Record<string, string> {
  return key ? { [key.kind]: key.text } : {};
}

/** One box for every identifier: what is typed is told apart, and said. */
export function KeyField({
  label,
  initial,
  onKey,
  isInvalid,
}: {
  label: string;
  initial: Key | undefined;
  /** `isMistyped`: something was typed, and it is no identifier. */
  onKey: (key: Key | undefined, isMistyped: boolean) => void;
  isInvalid: boolean;
}) {
  const [typed, setTyped] = useState(initial?.text ?? "");
  const [chosen, setChosen] = useState<Kind | undefined>(initial?.kind);
  const id = useId();
  const found = read(typed, chosen);
  const change = (text: string, kind: Kind | undefined) => {
    setTyped(text);
    setChosen(kind);
    const next = read(text, kind);
    onKey(next && { kind: next.kind, text: next.text }, !next && text.trim() !== "");
  };
  return (
    <div class="field key">
      <label for={id}>{label}</label>
      <input
        id={id}
        class="search-box"
        type="text"
        value={typed}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        aria-describedby={`${id}-is`}
        aria-invalid={isInvalid && !found}
        onInput={(event) => change(event.currentTarget.value, undefined)}
      />
      <div id={`${id}-is`} class="hint" aria-live="polite">
        {typed.trim() === "" && !isInvalid ? (
          "Type or paste it in any form; what it is, is told by its digits. The key / leads here."
        ) : found ? (
          <>
            This is {article(found.name)} <strong>{found.name}</strong>. {found.remark}
          </>
        ) : (
          <span class={isInvalid ? "wrong" : ""}>{IDENTIFIER_RULE}</span>
        )}
      </div>
      {found?.alternative && (
        <fieldset class="choice">
          <legend>Take it for</legend>
          {(["mpxn", "uprn"] as const).map((kind) => (
            <label key={kind}>
              <input type="radio" name={`${id}-kind`} checked={found.kind === kind} onChange={() => change(typed, kind)} />{" "}
              {kind === "mpxn" ? "an MPRN" : "a UPRN"}
            </label>
          ))}
        </fieldset>
      )}
    </div>
  );
}

function read(typed: string, chosen: Kind | undefined): Identifier | undefined {
  const found = recognise(typed);
  return found && chosen ? as(found, chosen) : found;
}

function article(name: string): string {
  return /^M/.test(name) ? "an" : "a";
}

export { KIND_NAMES };

/** Service Reference Variants, found by number and by name. */
export function VariantPicker({ chosen, onChange }: { chosen: readonly string[]; onChange: (chosen: string[]) => void }) {
  const [filter, setFilter] = useState("");
  const id = useId();
  const shown = useMemo(() => matching(filter), [filter]);
  const toggle = (number: string) =>
    onChange(chosen.includes(number) ? chosen.filter((other) => other !== number) : [...chosen, number]);
  return (
    <details class="field variants">
      <summary>
        Service Reference Variant: {chosen.length === 0 ? "all" : chosen.join(", ")}
      </summary>
      <label for={id}>Find by number or name</label>
      <input id={id} type="text" value={filter} autocomplete="off" onInput={(event) => setFilter(event.currentTarget.value)} />
      {chosen.length > 0 && (
        <button type="button" onClick={() => onChange([])}>
          All variants
        </button>
      )}
      <fieldset>
        <legend class="hidden">Variants</legend>
        {shown.length === 0 && <p class="hint">No variant has this number or name.</p>}
        {shown.map(({ number, name }) => (
          <label key={number} class="variant">
            <input type="checkbox" checked={chosen.includes(number)} onChange={() => toggle(number)} /> <b>{number}</b> {name}
          </label>
        ))}
      </fieldset>
    </details>
  );
}

/** Variants whose number begins so, or whose name has all words. */
export function matching(filter: string): readonly { number: string; name: string }[] {
  const text = filter.trim().toLowerCase();
  if (!text) {
    return VARIANTS;
  }
  const words = text.split(/\s+/);
  return VARIANTS.filter(
    ({ number, name }) => number === text || number.startsWith(text) || words.every((word) => name.toLowerCase().includes(word)),
  );
}

export function DateField({ label, value, onChange, hint }: { label: string; value: string; onChange: (value: string) => void; hint?: string }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input id={id} type="date" value={value} aria-describedby={hint ? `${id}-hint` : undefined} onInput={(event) => onChange(event.currentTarget.value)} />
      {hint && (
        <div id={`${id}-hint`} class="hint">
          {hint}
        </div>
      )}
    </div>
  );
}

export function TextField({
  label,
  value,
  onChange,
  hint,
  isSearchBox,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: string;
  isSearchBox?: boolean;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        class={isSearchBox ? "search-box" : ""}
        type="text"
        value={value}
        autocomplete="off"
        spellcheck={false}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      {hint && (
        <div id={`${id}-hint`} class="hint">
          {hint}
        </div>
      )}
    </div>
  );
}

export function CheckBox({ label, checked, onChange }: { label: string; checked: boolean; onChange: (checked: boolean) => void }) {
  return (
    <label class="field check">
      <input type="checkbox" checked={checked} onChange={(event) => onChange(event.currentTarget.checked)} /> {label}
    </label>
  );
}
