// Records that could not be read: what `gridtrail dead-letters` lists and shows. A record itself is shown only when it is asked for, and as digits.

import { useLocation } from "preact-iso";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useAnswer, usePages } from "../../answer.ts";
import { Facts, Heading, LoadMore, Progress, Table, Time } from "../../components/basics.tsx";
import { type DeadLetter, DeadLetterState, type ListDeadLettersResponse } from "../../gen/gridtrail/operate/v1/operate_pb.ts";
import { address } from "../../model/address.ts";
import { count } from "../../model/count.ts";
import { hexLines, shownBytes } from "../../model/hex.ts";
import { operators } from "../../operate.ts";

const STATE_NAMES: Record<number, string> = {
  [DeadLetterState.OPEN]: "Open",
  [DeadLetterState.REPLAYED]: "Replayed",
  [DeadLetterState.DISMISSED]: "Dismissed",
};

const PATH = "/operators/dead-letters";

export function DeadLettersPage() {
  const { query } = useLocation();
  const [source, reason, settled] = [query["source"] ?? "", query["reason"] ?? "", query["settled"] === "yes"];
  const filter: Record<string, string> = { source, reason, settled: settled ? "yes" : "" };
  const answer = usePages<ListDeadLettersResponse, DeadLetter>(
    JSON.stringify(filter),
    (pageToken, signal) => operators.listDeadLetters({ source, reason, settled, pageToken }, { signal }),
    (page) => ({ rows: page.letters, next: page.nextPageToken }),
  );
  const [of, at] = [query["of"], query["at"]];
  const isOpened = (letter: DeadLetter) => letter.source === of && String(letter.position) === at;
  return (
    <>
      <Heading>Dead letters</Heading>
      <p class="lead">Records that could not be read, as they came. “gridtrail dead-letters” replays and dismisses them.</p>
      <Filter key={JSON.stringify(filter)} {...{ source, reason, settled }} />
      <Progress of={answer} what="Looking for dead letters …" />
      {answer.data && answer.rows.length === 0 && (
        <p class="note" role="status">
          There is no dead letter{source || reason ? " that the filter lets through" : settled ? "" : " that is open"}.
        </p>
      )}
      <div class={of ? "with-panel" : ""}>
        {answer.rows.length > 0 && (
          <div>
            <p role="status">{answer.hasMore ? `${answer.rows.length} dead letters, and there are more.` : `${answer.rows.length} dead letters: all that there are.`}</p>
            <Table caption="Dead letters" columns={["Letter", "Put aside", "Bytes", "State", "Reason", "Record"]}>
              {answer.rows.map((letter) => (
                <tr key={`${letter.source}@${letter.position}`} class={isOpened(letter) ? "opened" : undefined}>
                  <td>{nameOf(letter)}</td>
                  <td>
                    <Time at={letter.readAt} />
                  </td>
                  <td class="number">{sizeOf(letter)}</td>
                  <td>{STATE_NAMES[letter.state] ?? "Not known"}</td>
                  <td>{letter.reason}</td>
                  <td>
                    <a href={address(PATH, { ...filter, of: letter.source, at: String(letter.position) })} aria-label={`Open ${nameOf(letter)}`}>
                      Open
                    </a>
                  </td>
                </tr>
              ))}
            </Table>
            <LoadMore of={answer} />
          </div>
        )}
        {of !== undefined && at !== undefined && <Letter key={`${of}@${at}`} source={of} position={at} close={address(PATH, filter)} />}
      </div>
    </>
  );
}

const nameOf = ({ name, position }: DeadLetter) => `${name}@${position}`;

function sizeOf({ bytes, whole, recordBytes }: DeadLetter): string {
  if (recordBytes !== undefined) {
    return `${count(bytes)} of ${count(recordBytes)}`;
  }
  return whole === undefined ? `${count(bytes)} (perhaps cut)` : count(bytes);
}

function Filter({ source, reason, settled }: { source: string; reason: string; settled: boolean }) {
  const { route } = useLocation();
  const id = useId();
  const [entered, setEntered] = useState({ source, reason, settled });
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        route(address(PATH, { source: entered.source.trim(), reason: entered.reason.trim(), settled: entered.settled ? "yes" : "" }));
      }}
    >
      <div class="row">
        <div class="field">
          <label for={`${id}-reason`}>The reason holds</label>
          <input id={`${id}-reason`} type="text" autocomplete="off" value={entered.reason} onInput={(event) => setEntered({ ...entered, reason: event.currentTarget.value })} />
        </div>
        <div class="field">
          <label for={`${id}-source`}>The source holds</label>
          <input id={`${id}-source`} type="text" autocomplete="off" value={entered.source} onInput={(event) => setEntered({ ...entered, source: event.currentTarget.value })} />
        </div>
      </div>
      <label class="field check">
        <input type="checkbox" checked={entered.settled} onChange={(event) => setEntered({ ...entered, settled: event.currentTarget.checked })} /> Also those that were replayed or dismissed
      </label>
      <button type="submit" class="primary">
        Look
      </button>
    </form>
  );
}

/** One letter, beside the list. */
function Letter({ source, position, close }: { source: string; position: string; close: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const [isRecordShown, setIsRecordShown] = useState(false);
  const isPosition = /^-?\d{1,19}$/.test(position);
  const answer = useAnswer(isPosition ? String(isRecordShown) : undefined, (signal) =>
    operators.getDeadLetter({ source, position: BigInt(position), withRecord: isRecordShown }, { signal }),
  );
  useEffect(() => heading.current?.focus(), []);
  const { data } = answer;
  const letter = data?.letter;
  return (
    <aside class="panel" aria-label="Dead letter">
      <div class="panel-head">
        <h2 ref={heading} tabIndex={-1}>
          Dead letter
        </h2>
        <a href={close}>Close</a>
      </div>
      {!isPosition && <p class="note">There is no dead letter of this address.</p>}
      <Progress of={answer} what="Reading it …" />
      {letter && (
        <>
          <Facts
            of={[
              ["Letter", nameOf(letter)],
              ["Source", letter.source],
              ["State", STATE_NAMES[letter.state] ?? "Not known"],
              ["Put aside", <Time at={letter.readAt} />],
              ["Reason", letter.reason],
              ["Bytes", sizeOf(letter)],
              ...(letter.recordSha256 ? [["SHA-256 of the record", letter.recordSha256] as [string, string]] : []),
              ...(isRecordShown ? [["Key", shownBytes(data.key)] as [string, string]] : []),
              ...data.headers.map(({ name, value }): [string, string] => [`Header ${name}`, shownBytes(value)]),
            ]}
          />
          {isRecordShown ? (
            <>
              <pre class="hex" role="region" aria-label="The record in hexadecimal digits" tabIndex={0}>
                {hexLines(data.record).join("\n")}
              </pre>
              {letter.bytes > BigInt(data.record.length) && (
                <p class="small">The first {count(BigInt(data.record.length))} bytes of it; “gridtrail dead-letters show --raw” writes all.</p>
              )}
            </>
          ) : (
            <>
              <p class="small">The record may hold anybody’s data. That you look at it is recorded.</p>
              <button type="button" onClick={() => setIsRecordShown(true)}>
                Show the record in hexadecimal digits
              </button>
            </>
          )}
        </>
      )}
    </aside>
  );
}
