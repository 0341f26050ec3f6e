// Small parts that all pages are made of.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Trouble } from "../api.ts";
import type { Answer, More } from "../answer.ts";
import { shownTimestamp } from "../model/time.ts";

/** A time in UTC and in the UK. */
export function Time({ at }: { at: Timestamp | undefined }) {
  const time = shownTimestamp(at);
  return time ? (
    <time datetime={time.iso}>
      {time.utc}
      <span class="uk">{time.uk}</span>
    </time>
  ) : (
    <span class="none">–</span>
  );
}

/** Identifiers are copied with one click. */
export function Copied({ text, children }: { text: string; children?: ComponentChildren }) {
  const [isCopied, setIsCopied] = useState(false);
  if (!text) {
    return <span class="none">–</span>;
  }
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setIsCopied(true);
    setTimeout(() => setIsCopied(false), 2000);
  };
  return (
    <span class="copied">
      <span class="identifier">{children ?? text}</span>
      <button type="button" class="copy" onClick={() => void copy()} aria-label={isCopied ? `${text} is copied` : `Copy ${text}`}>
        <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6">
          {isCopied ? <path d="M3 8.5 6.5 12 13 4.5" /> : <path d="M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3" />}
        </svg>
      </button>
    </span>
  );
}

/** The title of a page, of its tab, and where the keyboard goes on when the page is another. */
export function Heading({ children }: { children: string }) {
  useEffect(() => {
    document.title = `${children} · Self-Service Interface`;
  }, [children]);
  return <h1 tabIndex={-1}>{children}</h1>;
}

/** What went wrong, and what to do. */
export function TroubleNote({ trouble, again }: { trouble: Trouble; again?: () => void }) {
  return (
    <div class="note trouble" role="alert">
      <h2>{trouble.title}</h2>
      {trouble.fields.length > 0 ? (
        <ul>
          {trouble.fields.map(({ field, rule }) => (
            <li key={field}>
              <strong>{FIELD_NAMES[field] ?? field}</strong>: {rule}
            </li>
          ))}
        </ul>
      ) : (
        <p>{trouble.text}</p>
      )}
      {trouble.httpCode && (
        <p class="small">
          HTTP code {trouble.httpCode}
          {trouble.reason && `, ${trouble.reason}`}
        </p>
      )}
      {trouble.mayRetry && again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

const FIELD_NAMES: Record<string, string> = {
  mpxn: "MPxN",
  device_id: "Device ID",
  uprn: "UPRN",
  postcode: "Full postcode",
  property_filter: "Property",
  service_reference_variants: "Service Reference Variant",
  from: "From date",
  to: "To date",
  as_of: "As of",
  "details.first_name": "First name",
  "details.last_name": "Last name",
  "details.email_address": "E-mail address",
  "details.telephone_number": "Contact telephone number",
};

/** What is asked for is on its way, was stopped, or went wrong; nothing where it is here. */
export function Progress({ of, what }: { of: Pick<Answer<unknown>, "isWaiting" | "wasStopped" | "trouble" | "stop" | "again">; what: string }) {
  return (
    <div aria-live="polite">
      {of.isWaiting && (
        <p class="progress">
          <span class="spinner" aria-hidden="true" /> {what}{" "}
          <button type="button" onClick={of.stop}>
            Stop
          </button>
        </p>
      )}
      {of.wasStopped && (
        <p class="note">
          You stopped this.{" "}
          <button type="button" onClick={of.again}>
            Start again
          </button>
        </p>
      )}
      {of.trouble && <TroubleNote trouble={of.trouble} again={of.again} />}
    </div>
  );
}

/** The way to the next page of rows, which can be stopped as a search can. */
export function LoadMore({ of, name = "Load more" }: { of: More; name?: string }) {
  return (
    <>
      {of.hasMore && (
        <p class="tools">
          <button type="button" disabled={of.isLoadingMore} onClick={() => void of.load()}>
            {of.isLoadingMore ? "Loading …" : name}
          </button>{" "}
          {of.isLoadingMore && (
            <button type="button" onClick={of.stopMore}>
              Stop
            </button>
          )}
        </p>
      )}
      {of.troubleOfMore && <TroubleNote trouble={of.troubleOfMore} again={() => void of.load()} />}
    </>
  );
}

/** How old and of which version an answer is. */
export function Stamp({ completeUpTo, version }: { completeUpTo: Timestamp | undefined; version: string }) {
  return (
    <p class="stamp">
      {completeUpTo ? (
        <>
          Everything that the sources held before <Time at={completeUpTo} /> is in this answer.
        </>
      ) : (
        <>A source has not said how far it is complete.</>
      )}{" "}
      <span class="version">Version of the data: {version}</span>
    </p>
  );
}

/** A list of names and values; what is empty is shown as such. */
export function Facts({ of }: { of: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value === "" || value === undefined ? <span class="none">–</span> : value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A table that is wider than the page scrolls by itself, by keyboard, too. */
export function Table({ caption, columns, children }: { caption: string; columns: readonly string[]; children: ComponentChildren }) {
  return (
    <div class="table" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
