// Search of the Smart Metering Inventory: UC_Inventory_001.

import { useLocation } from "preact-iso";
import { useState } from "preact/hooks";
import { inventory } from "../api.ts";
import { usePages } from "../answer.ts";
import type { InventorySearchResponse, ListedDevice } from "../gen/gridtrail/query/v1/inventory_pb.ts";
import { address, parameters } from "../model/address.ts";
import { csv, save } from "../model/csv.ts";
import { type Key, KeyField, keyOf, keyParameters, CheckBox, TextField } from "../components/search.tsx";
import { Copied, Heading, LoadMore, Progress, Stamp, Table, Time } from "../components/basics.tsx";

/** The columns of UC_Inventory_001. */
const COLUMNS = ["Device ID", "Device Type", "MPxN", "SMI Status", "First line of address", "UPRN", "Full postcode"] as const;

interface Query {
  key: Key | undefined;
  postcode: string;
  property: string;
  all: boolean;
  asOf: string;
}

function queryOf(search: URLSearchParams): Query {
  const text = (name: string) => search.get(name) ?? "";
  return { key: keyOf(search), postcode: text("postcode"), property: text("property"), all: text("all") === "yes", asOf: text("as_of") };
}

const addressOf = ({ key, postcode, property, all, asOf }: Query) =>
  address("/inventory", { ...keyParameters(key), postcode, property, all, as_of: asOf });

export function InventoryPage() {
  const { url, route } = useLocation();
  const query = queryOf(parameters(url));
  const asked = addressOf(query);
  return (
    <>
      <Heading>Smart metering inventory</Heading>
      <Form key={asked} initial={query} onSearch={(next) => route(addressOf(next))} />
      {(query.key || query.postcode) && <Results query={query} asked={asked} />}
    </>
  );
}

function Form({ initial, onSearch }: { initial: Query; onSearch: (query: Query) => void }) {
  const [query, setQuery] = useState(initial);
  const [isMistyped, setIsMistyped] = useState(false);
  const [isInvalid, setIsInvalid] = useState(false);
  const set = (change: Partial<Query>) => setQuery((before) => ({ ...before, ...change }));
  const submit = (event: Event) => {
    event.preventDefault();
    // Beside a postcode, too, what was typed counts: without it, other Devices would be found than were asked for.
    const isAsked = !isMistyped && (query.key !== undefined || query.postcode !== "");
    setIsInvalid(!isAsked);
    if (isAsked) {
      onSearch(query);
    }
  };
  return (
    <form class="search" role="search" onSubmit={submit}>
      <KeyField
        label="MPxN, Device ID or UPRN"
        initial={initial.key}
        isInvalid={isInvalid}
        onKey={(key, mistyped) => {
          set({ key });
          setIsMistyped(mistyped);
          setIsInvalid(false);
        }}
      />
      <div class="row">
        <TextField label="Full postcode" value={query.postcode} onChange={(postcode) => set({ postcode: postcode.trim() })} hint="By itself, or beside the above." />
        <TextField label="Property" value={query.property} onChange={(property) => set({ property })} hint="Beside a postcode: its name or number, or more of the address." />
        <TextField label="As of" value={query.asOf} onChange={(asOf) => set({ asOf: asOf.trim() })} hint="Empty: now. Else an instant or a version of the last 48 hours." />
      </div>
      <CheckBox label="Include Devices whose SMI Status is not Commissioned" checked={query.all} onChange={(all) => set({ all })} />
      <button type="submit" class="primary">
        Search
      </button>
    </form>
  );
}

function Results({ query, asked }: { query: Query; asked: string }) {
  const { key, postcode, property, all, asOf } = query;
  const answer = usePages<InventorySearchResponse, ListedDevice>(
    asked,
    (pageToken, signal) =>
      inventory.search(
        {
          mpxn: key?.kind === "mpxn" ? key.text : "",
          deviceId: key?.kind === "device" ? key.text : "",
          uprn: key?.kind === "uprn" ? key.text : "",
          postcode,
          propertyFilter: property,
          includeNotCommissioned: all,
          asOf,
          pageToken,
        },
        { signal },
      ),
    (page) => ({ rows: page.devices, next: page.nextPageToken }),
  );
  const { data, rows } = answer;
  const leftOut = answer.pages.reduce((sum, page) => sum + page.notCommissionedLeftOut, 0);
  return (
    <section aria-label="Results">
      <Progress of={answer} what="Searching …" />
      {data && (
        <>
          <p class="count" role="status">
            {rows.length === 0 ? "No Device was found." : `${rows.length} Devices${answer.hasMore ? ", and more follow" : ": all that there are"}.`}
          </p>
          {leftOut > 0 && (
            <p class="note">
              {leftOut} left out, since their SMI Status is not Commissioned: <a href={addressOf({ ...query, all: true })}>include them</a>.
            </p>
          )}
          {data.premisesMatched > 1 && <p class="note">{data.premisesMatched} premises match. The property beside a postcode tells them apart.</p>}
          {rows.length === 0 ? (
            <div class="note">
              <h2>Why there may be nothing, and what to try</h2>
              <ul>
                <li>The inventory has no Device of this kind installed or Associated there now; Devices that were removed are in no answer.</li>
                {property && (
                  <li>
                    The property narrows the search: <a href={addressOf({ ...query, property: "" })}>search without it</a>.
                  </li>
                )}
                {!all && (
                  <li>
                    <a href={addressOf({ ...query, all: true })}>Include Devices that are not Commissioned</a>.
                  </li>
                )}
              </ul>
            </div>
          ) : (
            <>
              <p class="tools">
                <button type="button" onClick={() => save("inventory.csv", csv(COLUMNS, rows.flatMap(linesOf)))}>
                  Save these Devices as CSV
                </button>
              </p>
              <Table caption="Devices that match" columns={COLUMNS}>
                {rows.map((device) => (
                  <DeviceRow key={device.deviceId} device={device} asOf={asOf} />
                ))}
              </Table>
              <LoadMore of={answer} />
            </>
          )}
          <p class="small">
            This was so at <Time at={data.asAt} />, as known then.
          </p>
          <Stamp completeUpTo={data.completeUpTo} version={data.snapshotVersion} />
        </>
      )}
    </section>
  );
}

function DeviceRow({ device, asOf }: { device: ListedDevice; asOf: string }) {
  const { premises } = device;
  const lines = (of: (at: (typeof premises)[number]) => string) =>
    premises.length === 0 ? <span class="none">–</span> : premises.map((at, index) => <div key={index}>{of(at) || "–"}</div>);
  return (
    <tr>
      <td>
        <Copied text={device.deviceId}>
          <a href={address(`/devices/${device.deviceId}`, { as_of: asOf })}>{device.deviceId}</a>
        </Copied>
      </td>
      <td>{device.deviceType || <span class="none">–</span>}</td>
      <td>{lines(({ mpxn }) => mpxn)}</td>
      <td>{device.smiStatus || <span class="none">–</span>}</td>
      <td>{lines(({ firstLineOfAddress }) => firstLineOfAddress)}</td>
      <td>{lines(({ uprn }) => uprn)}</td>
      <td>{lines(({ postcode }) => postcode)}</td>
    </tr>
  );
}

/** A line of the CSV for each premises. */
function linesOf(device: ListedDevice): string[][] {
  const premises = device.premises.length > 0 ? device.premises : [undefined];
  return premises.map((at) => [
    device.deviceId,
    device.deviceType,
    at?.mpxn ?? "",
    device.smiStatus,
    at?.firstLineOfAddress ?? "",
    at?.uprn ?? "",
    at?.postcode ?? "",
  ]);
}
