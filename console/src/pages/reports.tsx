// The standard reports: UC_Reports_001.

import type { ComponentChildren } from "preact";
import { useLocation, useRoute } from "preact-iso";
import { useState } from "preact/hooks";
import { reports } from "../api.ts";
import { useAnswer } from "../answer.ts";
import { type Report, type ReportAbout, type ReportCell, ReportForm, type ReportRow } from "../gen/gridtrail/query/v1/report_pb.ts";
import { address, parameters } from "../model/address.ts";
import { isNumber, textOf } from "../model/cell.ts";
import { shownTimestamp } from "../model/time.ts";
import { type Asked, type Making, SHOWN_MAX, useDownload, useReport } from "../report.ts";
import { useProfile } from "../session.tsx";
import { Facts, Heading, Progress, Table, Time, TroubleNote } from "../components/basics.tsx";
import { ParameterField, UserIdPicker } from "../components/parameters.tsx";
import { ReportPicture } from "../components/picture.tsx";

export function ReportsPage() {
  const answer = useAnswer("reports", (signal) => reports.list({}, { signal }));
  return (
    <>
      <Heading>Reports</Heading>
      <p class="lead">Reports of what pertains to your User IDs, as the data are when they are made.</p>
      <Progress of={answer} what="Asking which reports there are …" />
      {answer.data && (
        <ul class="cards">
          {answer.data.reports.map(({ name, title, purpose }) => (
            <li key={name}>
              <a href={`/reports/${name}`}>{title}</a>
              <p>{purpose}</p>
            </li>
          ))}
        </ul>
      )}
      <p class="small">
        Which reports you made, and when, is in <a href="/calls">your own access log</a>.
      </p>
    </>
  );
}

export function ReportPage() {
  const { params } = useRoute();
  const name = params["name"] ?? "";
  const answer = useAnswer(name, (signal) => reports.describe({ name }, { signal }));
  const report = answer.data?.report;
  return (
    <>
      <Heading>{report?.title ?? "Report"}</Heading>
      <Progress of={answer} what="Asking what the report says …" />
      {report && <OneReport report={report} />}
    </>
  );
}

/** What the address asks of a report. `run`: it is to be made. */
function askedOf(report: Report, search: URLSearchParams): Asked & { run: boolean } {
  const given = report.parameters.map(({ name }) => [name, search.get(name) ?? ""] as const).filter(([, value]) => value !== "");
  return {
    parameters: Object.fromEntries(given),
    userIds: (search.get("users") ?? "").split(",").filter((id) => id),
    run: search.get("run") === "yes",
  };
}

function addressOf(report: Report, { parameters, userIds }: Asked): string {
  return address(`/reports/${report.name}`, { ...parameters, users: userIds, run: true });
}

function OneReport({ report }: { report: Report }) {
  const { url, route } = useLocation();
  const asked = askedOf(report, parameters(url));
  const key = addressOf(report, asked);
  const made = useReport(asked.run ? key : undefined, report, asked);
  return (
    <>
      <p class="lead">{report.purpose}</p>
      <Form
        key={key}
        report={report}
        initial={asked}
        onMake={(next) => {
          if (addressOf(report, next) === key && asked.run) {
            made.again();
          } else {
            route(addressOf(report, next));
          }
        }}
      />
      <section aria-label="Results">
        <Progress of={made} what={soFar(made.data)} />
        {made.isWhole && made.data.about && <Made key={key} report={report} asked={asked} about={made.data.about} making={made.data} />}
      </section>
      <About report={report} />
    </>
  );
}

function soFar({ rowCount, seconds, bytes }: Making): string {
  const rows = rowCount > 0 ? `, ${rowCount} rows` : "";
  const size = bytes > 0 ? `, ${Math.ceil(bytes / 1024)} KiB` : "";
  return `Making the report: ${seconds} s${rows}${size} …`;
}

function Form({ report, initial, onMake }: { report: Report; initial: Asked; onMake: (asked: Asked) => void }) {
  const profile = useProfile();
  const [asked, setAsked] = useState<Asked>({ parameters: initial.parameters, userIds: initial.userIds });
  const [missing, setMissing] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    const given = Object.fromEntries(Object.entries(asked.parameters).filter(([, value]) => value !== ""));
    const lacks = report.parameters.find(({ name, required }) => required && !given[name])?.name;
    const needs = report.needsOneOf.length > 0 && !report.needsOneOf.some((name) => given[name]);
    setMissing(lacks ? `Fill in ${spoken(lacks)}.` : needs ? `Fill in at least one of ${report.needsOneOf.map(spoken).join(", ")}.` : "");
    if (!lacks && !needs) {
      onMake({ parameters: given, userIds: asked.userIds });
    }
  };
  return (
    <form class="search" onSubmit={submit}>
      <div class="row">
        {report.parameters.map((parameter) => (
          <ParameterField
            key={parameter.name}
            of={parameter}
            label={spoken(parameter.name)}
            value={asked.parameters[parameter.name] ?? ""}
            onChange={(value) => setAsked((before) => ({ ...before, parameters: { ...before.parameters, [parameter.name]: value } }))}
          />
        ))}
      </div>
      <UserIdPicker all={profile.userIds} chosen={asked.userIds} onChange={(userIds) => setAsked((before) => ({ ...before, userIds }))} />
      {report.period && <p class="hint">At most {report.period.daysMax} days, from the first to the last.</p>}
      {missing && (
        <p class="wrong" role="alert">
          {missing}
        </p>
      )}
      <button type="submit" class="primary">
        Make the report
      </button>
    </form>
  );
}

/** A name of a parameter or a column as a person reads it. */
function spoken(name: string): string {
  const words = name.replaceAll("_", " ").replace(/\bid\b/, "ID").replace(/\bmpxn\b/, "MPxN");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const FILES: readonly { form: ReportForm; name: string; ending: string; type: string }[] = [
  { form: ReportForm.CSV, name: "CSV", ending: "csv", type: "text/csv" },
  { form: ReportForm.XLSX, name: "Workbook (XLSX)", ending: "xlsx", type: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
  { form: ReportForm.HTML, name: "Page (HTML)", ending: "html", type: "text/html" },
  { form: ReportForm.JSON, name: "JSON", ending: "json", type: "application/json" },
  { form: ReportForm.PARQUET, name: "Parquet", ending: "parquet", type: "application/vnd.apache.parquet" },
];

function Made({ report, asked, about, making }: { report: Report; asked: Asked; about: ReportAbout; making: Making }) {
  const { rows, rowCount, picture } = making;
  // The file has what the page shows: "today" of the page, also tomorrow.
  const download = useDownload(report, { parameters: about.parameters, userIds: asked.userIds });
  const day = shownTimestamp(about.madeAt)?.iso.slice(0, 10) ?? "";
  return (
    <>
      {!about.freshEnough && (
        <p class="note trouble" role="alert">
          The data are not as fresh as this report needs: {report.freshnessHours} hours.
        </p>
      )}
      <p class="count" role="status">
        {rowCount === 0 ? "The report has no row." : `${rowCount} rows${rowCount > rows.length ? `, of which the first ${SHOWN_MAX} are shown: a file has all` : ""}.`}
      </p>
      <p class="tools">
        {FILES.map(({ form, name, ending, type }) => (
          <button key={form} type="button" disabled={download.isWaiting} onClick={() => download.begin(form, `${report.name}-${day}.${ending}`, type)}>
            Save as {name}
          </button>
        ))}
      </p>
      <div aria-live="polite">
        {download.isWaiting && (
          <p class="progress">
            <span class="spinner" aria-hidden="true" /> {soFar(download.data)}{" "}
            <button type="button" onClick={download.stop}>
              Stop
            </button>
          </p>
        )}
        {download.trouble && <TroubleNote trouble={download.trouble} />}
        {download.isWhole && <p class="small">The file is made: {Math.ceil(download.data.bytes / 1024)} KiB.</p>}
      </div>
      {typeof picture === "string" && <p class="note">{picture}</p>}
      {typeof picture === "object" && rowCount > 0 && <ReportPicture of={picture} />}
      {rowCount > 0 && <Rows report={report} rows={rows} />}
      {rowCount === 0 && (
        <div class="note">
          <h2>Why there may be nothing, and what to try</h2>
          <ul>
            <li>{report.pertains}</li>
            {Object.keys(asked.parameters).length > 0 && <li>Ask for a longer time, or leave parameters out.</li>}
          </ul>
        </div>
      )}
      <h2>About this report</h2>
      <Facts of={factsOf(about)} />
    </>
  );
}

function Rows({ report, rows }: { report: Report; rows: readonly ReportRow[] }) {
  return (
    <Table caption={report.title} columns={report.columns.map(({ name }) => spoken(name))}>
      {rows.map(({ cells }, at) => (
        <tr key={at}>
          {cells.map((cell, column) => (
            <td key={column} class={isNumber(cell) ? "number" : ""}>
              <Cell of={cell} />
            </td>
          ))}
        </tr>
      ))}
    </Table>
  );
}

function Cell({ of }: { of: ReportCell }) {
  if (of.value.case === "time") {
    return <Time at={of.value.value} />;
  }
  const text = textOf(of);
  return text ? <>{text}</> : <span class="none">–</span>;
}

function factsOf(about: ReportAbout): [string, ComponentChildren][] {
  return [
    ["Whose rows", about.users.join("; ")],
    ["Asked by", `${about.askedBy}, ${about.party}`],
    ["Parameters", Object.entries(about.parameters).map(([name, value]) => `${spoken(name)}: ${value}`).join("; ")],
    ["Complete up to", <Time at={about.completeUpTo} />],
    ["Made at", <Time at={about.madeAt} />],
    ["Version of the data", <span class="version">{about.snapshotVersion}</span>],
    ["Version of the report", String(about.version)],
  ];
}

function About({ report }: { report: Report }) {
  return (
    <details>
      <summary>What this report says, and what it does not</summary>
      <p>{report.pertains}</p>
      <ul>
        {report.limits.map((limit) => (
          <li key={limit}>{limit}</li>
        ))}
      </ul>
      <Table caption="What the columns say" columns={["Column", "Unit", "Says"]}>
        {report.columns.map(({ name, unit, description }) => (
          <tr key={name}>
            <td>{spoken(name)}</td>
            <td>{unit || <span class="none">–</span>}</td>
            <td>{description}</td>
          </tr>
        ))}
      </Table>
    </details>
  );
}
