// Availability and diagnostics of a Communications Hub: UC_HubStatus_001, and by a link UC_HubStatus_002.

import { useLocation } from "preact-iso";
import { useState } from "preact/hooks";
import { hubs } from "../api.ts";
import { useAnswer } from "../answer.ts";
import { type GetHubResponse, type HubCspData, type HubField, HubFieldState } from "../gen/gridtrail/query/v1/hub_pb.ts";
import { address, parameters } from "../model/address.ts";
import { recognise } from "../model/identifier.ts";
import { TextField } from "../components/search.tsx";
import { Facts, Heading, Progress, Stamp, Table, Time } from "../components/basics.tsx";

export function HubPage() {
  const { url, route } = useLocation();
  const device = parameters(url).get("device") ?? "";
  return (
    <>
      <Heading>Communications Hub availability and diagnostics</Heading>
      <Form key={device} initial={device} onSearch={(next) => route(address("/hub", { device: next }))} />
      {device && <Hub device={device} />}
    </>
  );
}

function Form({ initial, onSearch }: { initial: string; onSearch: (device: string) => void }) {
  const [typed, setTyped] = useState(initial);
  const [isWrong, setIsWrong] = useState(false);
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const found = recognise(typed);
        setIsWrong(found?.kind !== "device");
        if (found?.kind === "device") {
          onSearch(found.text);
        }
      }}
    >
      <TextField
        label="Communications Hub Function Device ID"
        isSearchBox
        value={typed}
        onChange={setTyped}
        hint="16 hexadecimal digits, with or without hyphens. The inventory has those of Device Type CHF."
      />
      {isWrong && (
        <p class="wrong" role="alert">
          This is no Device ID: type 16 hexadecimal digits.
        </p>
      )}
      <button type="submit" class="primary">
        Search
      </button>
    </form>
  );
}

function Hub({ device }: { device: string }) {
  const answer = useAnswer(device, (signal) => hubs.get({ deviceId: device }, { signal }));
  return (
    <section aria-label="Results">
      <Progress of={answer} what="Looking the hub up …" />
      {answer.data && <Tables of={answer.data} />}
    </section>
  );
}

function Tables({ of }: { of: GetHubResponse }) {
  return (
    <>
      <p class="tools">
        <a href={`/devices/${of.deviceId}`}>This hub in the inventory</a>
      </p>
      {of.tablesOpen ? (
        <>
          {of.lastCommands.length === 0 ? (
            <p class="note">No Command through this hub is on record.</p>
          ) : (
            <Table caption="The last Commands through the Communications Hub, from all Users" columns={["Time", "Success status"]}>
              {of.lastCommands.map(({ at, successStatus }, index) => (
                <tr key={index}>
                  <td>
                    <Time at={at} />
                  </td>
                  <td>
                    <span class={`status ${successStatus.toLowerCase().replaceAll(" ", "-")}`}>{successStatus}</span>
                  </td>
                </tr>
              ))}
            </Table>
          )}
          <h2>What the Communications Service Provider knows</h2>
          {of.csp ? <Facts of={fieldsOf(of.csp)} /> : <p>It told nothing.</p>}
        </>
      ) : (
        <p class="note">
          Both tables are for the Responsible Supplier, the Network Party and the Registered Supplier Agent of a Smart Metering System of which this hub forms a part. None
          of your Party’s own User IDs is one of them now.
        </p>
      )}
      <p>
        {of.mayCommunicate
          ? "You may communicate with this Device, and have a full diagnostics request carried out."
          : "You may not communicate with this Device: none of your Party’s own User IDs is related to it now."}
      </p>
      {of.communicateWith && (
        <p class="tools">
          <a class="button" href={of.communicateWith} target="_blank" rel="noopener noreferrer">
            Communicate With Device
          </a>
          <span class="small">This opens the system that whoever runs this service named for it. Nothing is sent to the Device from here.</span>
        </p>
      )}
      <Stamp completeUpTo={of.completeUpTo} version={of.snapshotVersion} />
    </>
  );
}

function fieldsOf(csp: HubCspData): [string, preact.ComponentChildren][] {
  const fields: [string, HubField | undefined][] = [
    ["Aerial Installed", csp.aerialInstalled],
    ["Aerial Type", csp.aerialType],
    ["Birth Event", csp.birthEvent],
    ["Network Status", csp.networkStatus],
    ["Deactivation Date/Time", csp.deactivation],
    ["SMWAN Connectivity Status", csp.smwanConnectivityStatus],
    ["HAN Status", csp.hanStatus],
    ["Last Connection", csp.lastConnection],
    ["Last Tamper", csp.lastTamper],
    ["Last Outage", csp.lastOutage],
    ["Last Restore", csp.lastRestore],
  ];
  // The time of a deactivation is there where there was one.
  return fields.filter(([name, field]) => field !== undefined || name !== "Deactivation Date/Time").map(([name, field]) => [name, shownField(field)]);
}

function shownField(field: HubField | undefined) {
  if (!field || field.state === HubFieldState.UNKNOWN) {
    return "Not known";
  }
  return field.at ? <Time at={field.at} /> : field.text;
}
