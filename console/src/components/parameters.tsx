// What may be asked of a report, by what each parameter takes.

import { useId } from "preact/hooks";
import { type ReportParameter, ReportParameterType } from "../gen/gridtrail/query/v1/report_pb.ts";
import { recognise } from "../model/identifier.ts";

export function ParameterField({ of, label, value, onChange }: { of: ReportParameter; label: string; value: string; onChange: (value: string) => void }) {
  const id = useId();
  const hint = [of.description, of.default && `Left out: ${of.defaultNow && of.defaultNow !== of.default ? `${of.default}, now ${of.defaultNow}` : of.default}`]
    .filter((part) => part)
    .map((part) => (/[.!?]$/.test(part) ? part : `${part}.`))
    .join(" ");
  return (
    <div class="field">
      <label for={id}>
        {label}
        {of.required && " (needed)"}
      </label>
      {of.type === ReportParameterType.CHOICE ? (
        <select id={id} value={value} aria-describedby={`${id}-hint`} onInput={(event) => onChange(event.currentTarget.value)}>
          <option value="">{of.default || "any"}</option>
          {of.values
            .filter((word) => word !== of.default)
            .map((word) => (
              <option key={word} value={word}>
                {word}
              </option>
            ))}
        </select>
      ) : (
        <Input of={of} id={id} value={value} onChange={onChange} />
      )}
      <div id={`${id}-hint`} class="hint">
        {hint}
      </div>
    </div>
  );
}

function Input({ of, id, value, onChange }: { of: ReportParameter; id: string; value: string; onChange: (value: string) => void }) {
  const shared = {
    id,
    value,
    required: of.required,
    "aria-describedby": `${id}-hint`,
    onInput: (event: { currentTarget: HTMLInputElement }) => onChange(event.currentTarget.value),
  };
  switch (of.type) {
    case ReportParameterType.DATE:
      return <input type="date" {...shared} />;
    case ReportParameterType.MONTH:
      return <input type="month" {...shared} />;
    case ReportParameterType.NUMBER:
      return <input type="number" min={String(of.numberMin)} max={String(of.numberMax)} {...shared} />;
    case ReportParameterType.DEVICE_ID:
    case ReportParameterType.MPXN:
      // Pasted in any form: it is sent as the services write it.
      return (
        <input
          type="text"
          autocomplete="off"
          spellcheck={false}
          {...shared}
          onBlur={(event) => onChange(recognise(event.currentTarget.value)?.text ?? event.currentTarget.value.trim())}
        />
      );
    default:
      return <input type="text" autocomplete="off" spellcheck={false} {...(of.charactersMax > 0 ? { maxLength: of.charactersMax } : {})} {...shared} />;
  }
}

/** Of which User IDs; none chosen: of all that one sees. */
export function UserIdPicker({ all, chosen, onChange }: { all: readonly string[]; chosen: readonly string[]; onChange: (chosen: string[]) => void }) {
  return (
    <details class="field variants">
      <summary>User IDs: {chosen.length === 0 ? "all of yours" : chosen.join(", ")}</summary>
      <fieldset>
        <legend class="hidden">User IDs</legend>
        {all.map((id) => (
          <label key={id} class="variant">
            <input
              type="checkbox"
              checked={chosen.includes(id)}
              onChange={() => onChange(chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id])}
            />{" "}
            {id}
          </label>
        ))}
      </fieldset>
    </details>
  );
}
