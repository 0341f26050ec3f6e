// The searches of the service audit trail (UC_ServiceAudit_001, _002) and of meter reads (UC_MeterRead_001).

import { useLocation } from "preact-iso";
import { useId, useState } from "preact/hooks";
import { auditTrails, meterReads } from "../api.ts";
import { usePages } from "../answer.ts";
import { DeviceResolution, RowView, type SearchResponse, type TrailRow } from "../gen/gridtrail/query/v1/query_pb.ts";
import { VARIANTS } from "../gen/lists.ts";
import { address, parameters, variantsOf } from "../model/address.ts";
import { AUDIT_COLUMNS, type Column, METER_READ_COLUMNS, METER_READ_VARIANTS } from "../model/columns.ts";
import { csv, save } from "../model/csv.ts";
import { CheckBox, DateField, type Key, KeyField, keyOf, keyParameters, KIND_NAMES, TextField, VariantPicker } from "../components/search.tsx";
import { Copied, Heading, LoadMore, Progress, Stamp, Table, Time } from "../components/basics.tsx";
import { Details, type View } from "../components/details.tsx";

/** Rows that a page may have. */
const PAGE_SIZES = [50, 200, 1000] as const;

const PAGES = {
  audit: {
    path: "/audit",
    title: "Service audit trails",
    columns: AUDIT_COLUMNS,
    note: "A record of all service activity of your own User IDs, and of those that were granted to you.",
  },
  "meter-reads": {
    path: "/meter-reads",
    title: "Meter read transactions",
    columns: METER_READ_COLUMNS,
    note: "Read Profile Data and Retrieve Daily Consumption Log of all Users.",
  },
} as const;

interface Query {
  key: Key | undefined;
  variants: string[];
  from: string;
  to: string;
  asOf: string;
  rows: number;
}

function queryOf(search: URLSearchParams): Query {
  const text = (name: string) => search.get(name) ?? "";
  const rows = PAGE_SIZES.find((size) => String(size) === text("rows")) ?? PAGE_SIZES[0];
  return { key: keyOf(search), variants: variantsOf(search), from: text("from"), to: text("to"), asOf: text("as_of"), rows };
}

function addressOf(path: string, query: Query, row?: string): string {
  const { key, variants, from, to, asOf, rows } = query;
  return address(path, { ...keyParameters(key), srv: variants, from, to, as_of: asOf, rows: rows === PAGE_SIZES[0] ? "" : String(rows), row });
}

export function AuditPage() {
  return <Trails view="audit" />;
}

export function MeterReadsPage() {
  return <Trails view="meter-reads" />;
}

function Trails({ view }: { view: View }) {
  const { url, route } = useLocation();
  const search = parameters(url);
  const query = queryOf(search);
  const reference = search.get("row") ?? "";
  const { path, title, note } = PAGES[view];
  const asked = addressOf(path, query);
  return (
    <div class={reference ? "with-panel" : ""}>
      <div class="main-part">
        <Heading>{title}</Heading>
        <p class="lead">{note}</p>
        <Form key={asked} view={view} initial={query} onSearch={(next) => route(addressOf(path, next))} />
        {query.key && <Results view={view} query={query} asked={asked} opened={reference} />}
      </div>
      {reference && (
        <Details
          view={view}
          reference={reference}
          onClose={() => {
            route(asked);
            requestAnimationFrame(() => document.getElementById(`row-${reference}`)?.focus());
          }}
        />
      )}
    </div>
  );
}

function Form({ view, initial, onSearch }: { view: View; initial: Query; onSearch: (query: Query) => void }) {
  const [query, setQuery] = useState(initial);
  const [isInvalid, setIsInvalid] = useState(false);
  const set = (change: Partial<Query>) => setQuery((before) => ({ ...before, ...change }));
  const submit = (event: Event) => {
    event.preventDefault();
    setIsInvalid(query.key === undefined);
    if (query.key) {
      onSearch(query);
    }
  };
  return (
    <form class="search" role="search" onSubmit={submit}>
      <KeyField label="MPxN, Device GUID or UPRN" initial={initial.key} isInvalid={isInvalid} onKey={(key) => set({ key })} />
      {view === "audit" ? (
        <VariantPicker chosen={query.variants} onChange={(variants) => set({ variants })} />
      ) : (
        <MeterReadVariants chosen={query.variants} onChange={(variants) => set({ variants })} />
      )}
      <div class="row">
        <DateField label="From date" value={query.from} onChange={(from) => set({ from })} hint="Days are those of UTC." />
        <DateField label="To date" value={query.to} onChange={(to) => set({ to })} hint="Its whole day." />
        <TextField
          label="As of"
          value={query.asOf}
          onChange={(asOf) => set({ asOf: asOf.trim() })}
          hint="Empty: now. Else a date, an instant such as 2026-03-01T09:30:00Z, or a version, of the last 48 hours."
        />
        <RowsField value={query.rows} onChange={(rows) => set({ rows })} />
      </div>
      <button type="submit" class="primary">
        Search
      </button>
    </form>
  );
}

function RowsField({ value, onChange }: { value: number; onChange: (rows: number) => void }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>Rows a page</label>
      <select id={id} value={value} onInput={(event) => onChange(Number(event.currentTarget.value))}>
        {PAGE_SIZES.map((size) => (
          <option key={size} value={size}>
            {size}
          </option>
        ))}
      </select>
    </div>
  );
}

function MeterReadVariants({ chosen, onChange }: { chosen: readonly string[]; onChange: (chosen: string[]) => void }) {
  return (
    <fieldset class="field">
      <legend>Service Reference Variant (none: all four)</legend>
      {METER_READ_VARIANTS.map((number) => (
        <CheckBox
          key={number}
          label={`${number} ${VARIANTS.find((variant) => variant.number === number)?.name ?? ""}`}
          checked={chosen.includes(number)}
          onChange={(isChosen) => onChange(METER_READ_VARIANTS.filter((other) => (other === number ? isChosen : chosen.includes(other))))}
        />
      ))}
    </fieldset>
  );
}

function requestOf({ key, variants, from, to, asOf, rows }: Query, pageToken: string) {
  const value = key?.text ?? "";
  const cases = {
    mpxn: { case: "mpxn", value } as const,
    device: { case: "deviceId", value } as const,
    uprn: { case: "uprn", value } as const,
  };
  return {
    key: cases[key?.kind ?? "mpxn"],
    serviceReferenceVariants: variants,
    from,
    to,
    asOf,
    pageToken,
    pageSize: rows,
    view: RowView.TABLE,
  };
}

function Results({ view, query, asked, opened }: { view: View; query: Query; asked: string; opened: string }) {
  const { path, columns, title } = PAGES[view];
  const client = view === "audit" ? auditTrails : meterReads;
  const answer = usePages<SearchResponse, TrailRow>(
    asked,
    (pageToken, signal) => client.search(requestOf(query, pageToken), { signal }),
    (page) => ({ rows: page.rows, next: page.nextPageToken }),
  );
  const { rows, data } = answer;
  const name = query.key ? `${KIND_NAMES[query.key.kind]} ${query.key.text}` : "";
  return (
    <section aria-label="Results">
      <Progress of={answer} what="Searching …" />
      {data && (
        <>
          <p class="count" role="status">
            {rows.length === 0 ? "No row was found." : `${rows.length} rows${answer.hasMore ? ", and more follow" : ": all that there are"}.`}
          </p>
          <Resolution of={data.deviceResolution} query={query} />
          {rows.length === 0 ? (
            <Nothing view={view} query={query} resolution={data.deviceResolution} />
          ) : (
            <>
              <p class="tools">
                <button type="button" onClick={() => save(`${view}-${query.key?.text}.csv`, csv(columns.map((column) => column.name), rows.map((row) => columns.map((column) => column.text(row)))))}>
                  Save these rows as CSV
                </button>
              </p>
              <Table caption={`${title} of ${name}`} columns={[...columns.map((column) => column.name), "Full Details"]}>
                {rows.map((row) => (
                  <tr key={row.reference} class={row.reference === opened ? "opened" : ""}>
                    {columns.map((column) => (
                      <td key={column.name}>
                        <Cell column={column} row={row} />
                      </td>
                    ))}
                    <td>
                      <a id={`row-${row.reference}`} href={addressOf(path, query, row.reference)} aria-label={`Full details of the row of ${row.serviceReferenceVariant || "an alert"} to ${row.deviceId || "no Device"}`}>
                        Details
                      </a>
                    </td>
                  </tr>
                ))}
              </Table>
              <LoadMore of={answer} />
            </>
          )}
          <Stamp completeUpTo={data.completeUpTo} version={data.snapshotVersion} />
        </>
      )}
    </section>
  );
}

function Cell({ column, row }: { column: Column; row: TrailRow }) {
  const text = column.text(row);
  switch (column.kind) {
    case "time":
      return <Time at={column.time?.(row)} />;
    case "identifier":
      return <Copied text={text} />;
    case "status":
      return <span class={`status ${text.toLowerCase().replaceAll(" ", "-")}`}>{text}</span>;
    default:
      return text ? <>{text}</> : <span class="none">–</span>;
  }
}

/** How Devices were found, where a person should know it. */
function Resolution({ of, query }: { of: DeviceResolution; query: Query }) {
  if (of !== DeviceResolution.BY_SEEN_PAIRS) {
    return null;
  }
  return (
    <p class="note">
      The inventory leads from this {KIND_NAMES[query.key?.kind ?? "mpxn"]} to no Device at these dates. What is shown was found by having been named together with it; a Device
      that never was is missing. Search by its Device GUID.
    </p>
  );
}

/** Why there is nothing, and what to try. */
function Nothing({ view, query, resolution }: { view: View; query: Query; resolution: DeviceResolution }) {
  const { key } = query;
  const isNarrow = query.variants.length > 0 || query.from !== "" || query.to !== "";
  const other = view === "audit" ? "meter-reads" : "audit";
  return (
    <div class="note">
      <h2>Why there may be nothing, and what to try</h2>
      <ul>
        {resolution === DeviceResolution.NO_METER_POINT && <li>No registration gives this UPRN to a meter point at these dates: search by MPxN or Device GUID.</li>}
        {isNarrow && (
          <li>
            The search is narrowed by variants or dates: <a href={addressOf(PAGES[view].path, { ...query, variants: [], from: "", to: "" })}>search without them</a>.
          </li>
        )}
        {query.asOf && (
          <li>
            It is a search as of {query.asOf}: <a href={addressOf(PAGES[view].path, { ...query, asOf: "" })}>search as it is now</a>.
          </li>
        )}
        {view === "audit" && <li>Rows of other Users are not shown, unless their Parties granted you access. Your profile lists the User IDs whose rows you see.</li>}
        {key?.kind === "mpxn" && <li>Look for the Devices at this meter point: {<a href={address("/inventory", { mpxn: key.text, as_of: query.asOf })}>search the inventory</a>}.</li>}
        <li>
          Look at <a href={address(PAGES[other].path, { ...keyParameters(key), as_of: query.asOf })}>{PAGES[other].title.toLowerCase()}</a> of the same {KIND_NAMES[key?.kind ?? "mpxn"]}.
        </li>
      </ul>
    </div>
  );
}
