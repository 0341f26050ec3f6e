// A Device and those around it: UC_Inventory_002.

import { useLocation, useRoute } from "preact-iso";
import type { ComponentChildren } from "preact";
import { inventory } from "../api.ts";
import { useAnswer } from "../answer.ts";
import { DeviceGroup, type DeviceWithGroups, type GroupedDevice, type InventoryDevice } from "../gen/gridtrail/query/v1/inventory_pb.ts";
import { address, parameters } from "../model/address.ts";
import { Copied, Facts, Heading, Progress, Stamp, Table, Time } from "../components/basics.tsx";

const GROUP_NAMES: Record<number, string> = { [DeviceGroup.I]: "I", [DeviceGroup.II]: "II", [DeviceGroup.III]: "III", [DeviceGroup.IV]: "IV" };

export function DevicePage() {
  const { params } = useRoute();
  const { url } = useLocation();
  const asOf = parameters(url).get("as_of") ?? "";
  const deviceId = params["id"] ?? "";
  const answer = useAnswer(`${deviceId} ${asOf}`, (signal) =>
    inventory.getDevice({ key: { case: "deviceId", value: deviceId }, includeNotCommissioned: true, asOf }, { signal }),
  );
  const found = answer.data?.devices[0];
  return (
    <>
      <Heading>{`Device ${deviceId}`}</Heading>
      <Progress of={answer} what="Looking the Device up …" />
      {answer.data && !found && (
        <div class="note">
          <h2>The inventory has no such Device</h2>
          <p>Either nothing was ever told of it, or it was removed. Its rows in the audit trail are there all the same.</p>
          <p>
            <a href={address("/audit", { device: deviceId, as_of: asOf })}>Search the service audit trail of this Device</a>
          </p>
        </div>
      )}
      {found?.device && <OneDevice device={found.device} around={found} asOf={asOf} />}
      {answer.data && (
        <>
          <p class="small">
            This was so at <Time at={answer.data.asAt} />, as known then.
          </p>
          <Stamp completeUpTo={answer.data.completeUpTo} version={answer.data.snapshotVersion} />
        </>
      )}
    </>
  );
}

function OneDevice({ device, around, asOf }: { device: InventoryDevice; around: DeviceWithGroups; asOf: string }) {
  return (
    <>
      <p class="tools">
        {device.mayFollowAuditTrail && <a href={address("/audit", { device: device.deviceId, as_of: asOf })}>Service audit trail of this Device</a>}
        {device.deviceType === "CHF" && <a href={address("/hub", { device: device.deviceId })}>Availability and diagnostics of this hub</a>}
      </p>
      <Facts of={factsOf(device, asOf)} />
      <section aria-labelledby="status-history">
        <h2 id="status-history">SMI Status history</h2>
        {device.smiStatusHistory.length === 0 ? (
          <p>None is on record. Type 2 Devices have no SMI Status.</p>
        ) : (
          <ol class="time-line">
            {device.smiStatusHistory.map(({ smiStatus, from, until }, at) => (
              <li key={at}>
                <b>{smiStatus}</b>
                <span>
                  since <Time at={from} />
                </span>
                {until && (
                  <span>
                    until <Time at={until} />
                  </span>
                )}
              </li>
            ))}
          </ol>
        )}
        {device.smiStatusHistoryCount > device.smiStatusHistory.length && <p class="small">The newest of {device.smiStatusHistoryCount}.</p>}
      </section>
      <Around device={device} others={around.others} asOf={asOf} />
    </>
  );
}

function factsOf(device: InventoryDevice, asOf: string): [string, ComponentChildren][] {
  const first = device.premises.map(({ mpxn, property, firstLineOfAddress, postcode, uprn }, at) => (
    <div key={at}>
      <a href={address("/inventory", { mpxn, as_of: asOf })}>{mpxn}</a>
      {[property, firstLineOfAddress, postcode].filter((part) => part).map((part) => `, ${part}`)}
      {uprn && `, UPRN ${uprn}`}
    </div>
  ));
  return [
    ["Device ID", <Copied text={device.deviceId} />],
    ["Manufacturer", device.manufacturer],
    ["Device Model", device.deviceModel],
    ["Device Type", [device.deviceType, device.description].filter((text) => text).join(": ")],
    ["ESME Variant", device.esmeVariant],
    ["SMETS Version", device.smetsChtsVersion],
    ["WAN Technology Type", device.wanTechnologyType],
    ["Firmware Version", device.firmwareVersion],
    ["HAN variant", device.hanVariant],
    [
      "CSP region",
      device.cspRegions.length === 0
        ? ""
        : device.cspRegions.map(({ cspRegion, from, until }, at) => (
            <div key={at}>
              {cspRegion}, since <Time at={from} />
              {until && (
                <>
                  {" "}
                  until <Time at={until} />
                </>
              )}
            </div>
          )),
    ],
    ["SMI Status", device.smiStatus],
    ["MPxN, address, UPRN and postcode", first.length === 0 ? "" : first],
  ];
}

/** The Devices of groups II to IV, as a picture and as a list. */
function Around({ device, others, asOf }: { device: InventoryDevice; others: readonly GroupedDevice[]; asOf: string }) {
  return (
    <section aria-labelledby="around">
      <h2 id="around">Devices around it</h2>
      {others.length === 0 ? (
        <p>No Device is Associated with it, and it is Associated with none.</p>
      ) : (
        <>
          <Rings device={device} others={others} />
          <Table caption="Devices of groups II to IV (Section H8.16(a))" columns={["Device ID", "Device Type", "SMI Status", "Description of Device", "Groups"]}>
            {others.map(({ device: other, groups }) => (
              <tr key={other?.deviceId}>
                <td>
                  <a href={address(`/devices/${other?.deviceId}`, { as_of: asOf })}>{other?.deviceId}</a>
                </td>
                <td>{other?.deviceType}</td>
                <td>{other?.smiStatus || <span class="none">–</span>}</td>
                <td>{other?.description}</td>
                <td>{groups.map((group) => GROUP_NAMES[group]).join(", ")}</td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </section>
  );
}

const RING_MAX = 24;

function Rings({ device, others }: { device: InventoryDevice; others: readonly GroupedDevice[] }) {
  const groups = [DeviceGroup.II, DeviceGroup.III, DeviceGroup.IV].map((group) => ({ group, ring: others.filter((other) => Math.min(...other.groups) === group) }));
  // A group that is empty has no ring.
  const there = groups.filter(({ ring }) => ring.length > 0);
  const rings = there.map(({ ring }) => ring);
  const description = there.map(({ group, ring }) => `${ring.length} in group ${GROUP_NAMES[group]}`).join(", ");
  const half = 55 * rings.length + 22;
  return (
    <svg class="rings" viewBox={`${-half} ${-half} ${2 * half} ${2 * half}`} width={2 * half} role="img" aria-label={`The Device in the middle, and around it ${description}; they are listed below.`}>
      {rings.map((_, at) => (
        <circle key={at} r={55 * (at + 1)} class="ring" />
      ))}
      <Node x={0} y={0} type={device.deviceType} isCentre />
      {rings.flatMap((ring, at) =>
        ring.slice(0, RING_MAX).map(({ device: other }, index) => {
          const angle = (2 * Math.PI * index) / Math.min(ring.length, RING_MAX) - Math.PI / 2 + at * 0.4;
          return <Node key={other?.deviceId} x={55 * (at + 1) * Math.cos(angle)} y={55 * (at + 1) * Math.sin(angle)} type={other?.deviceType ?? ""} />;
        }),
      )}
    </svg>
  );
}

function Node({ x, y, type, isCentre }: { x: number; y: number; type: string; isCentre?: boolean }) {
  return (
    <g transform={`translate(${x} ${y})`} class={isCentre ? "node centre" : "node"}>
      <circle r={isCentre ? 24 : 19} />
      <text text-anchor="middle" dominant-baseline="central">
        {type || "?"}
      </text>
    </g>
  );
}
