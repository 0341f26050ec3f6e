// A report's picture as shapes: as its outputs draw it.

import { ReportChartKind } from "../gen/gridtrail/query/v1/report_pb.ts";
import { shownNumber } from "../model/cell.ts";
import { type Picture, total } from "../model/picture.ts";
import { Table } from "./basics.tsx";

/** After Okabe and Ito, those first that are furthest apart in brightness. */
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#444444", "#999999", "#8c564b", "#000000"];
const colour = (part: number) => COLOURS[part % COLOURS.length];

const WIDTH = 960;
const NAMES = 230;
const ENDS = 90;
const BAR = 24;
const HEIGHT = 320;
const SCALE = 80;
const LEGEND = 26;
/** Names along the axis of columns. */
const TICKS = 8;

export function ReportPicture({ of }: { of: Picture }) {
  const description = `${of.parts.join(", ")} for each ${of.across}, of ${of.values.length} values. The table below has the numbers.`;
  const height = of.kind === ReportChartKind.BARS ? LEGEND + 8 + BAR * of.values.length : LEGEND + HEIGHT + 44;
  return (
    <>
      <h2>{of.title}</h2>
      <figure>
        <ul class="legend">
          {of.parts.map((part, at) => (
            <li key={part}>
              <svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">
                <rect width="14" height="14" fill={colour(at)} />
              </svg>{" "}
              {part}
            </li>
          ))}
        </ul>
        <svg class="picture" role="img" aria-label={`${of.title}: ${description}`} viewBox={`0 ${LEGEND} ${WIDTH} ${height - LEGEND}`}>
          {of.kind === ReportChartKind.BARS ? <Bars of={of} /> : <Columns of={of} />}
        </svg>
      </figure>
      <details>
        <summary>The numbers of the picture</summary>
        <Table caption="The numbers of the picture" columns={[of.across, ...of.parts]}>
          {of.values.map(({ name, numbers }) => (
            <tr key={name}>
              <td>{name}</td>
              {numbers.map((number, part) => (
                <td key={part} class="number">
                  {shownNumber(number)}
                </td>
              ))}
            </tr>
          ))}
        </Table>
      </details>
    </>
  );
}

/** Where each number begins when they stand one after the other. */
function begins(numbers: readonly number[]): number[] {
  return numbers.map((_, at) => total(numbers.slice(0, at)));
}

function Bars({ of }: { of: Picture }) {
  const longest = Math.max(...of.values.map(({ numbers }) => total(numbers)), Number.MIN_VALUE);
  const scale = (WIDTH - NAMES - ENDS) / longest;
  return (
    <>
      {of.values.map(({ name, numbers }, row) => {
        const y = LEGEND + 4 + BAR * row;
        const starts = begins(numbers);
        return (
          <g key={name}>
            <text x={NAMES - 8} y={y + 15} text-anchor="end">
              {name.slice(0, 30)}
            </text>
            {numbers.map(
              (number, part) =>
                number > 0 && (
                  <rect key={part} x={NAMES + (starts[part] ?? 0) * scale} y={y} width={number * scale} height={BAR - 5} fill={colour(part)}>
                    <title>{`${name}, ${of.parts[part]}: ${shownNumber(number)}`}</title>
                  </rect>
                ),
            )}
            <text x={NAMES + total(numbers) * scale + 6} y={y + 15}>
              {shownNumber(total(numbers))}
            </text>
          </g>
        );
      })}
    </>
  );
}

function Columns({ of }: { of: Picture }) {
  const [top, bottom] = [LEGEND + 10, LEGEND + 10 + HEIGHT];
  const longest = roundedUp(Math.max(...of.values.map(({ numbers }) => total(numbers)), 0));
  const step = (WIDTH - SCALE) / Math.max(of.values.length, 1);
  const every = Math.ceil(of.values.length / TICKS);
  return (
    <>
      {[0, 0.25, 0.5, 0.75, 1].map((part) => (
        <g key={part}>
          <line x1={SCALE} x2={WIDTH} y1={bottom - HEIGHT * part} y2={bottom - HEIGHT * part} />
          <text x={SCALE - 8} y={bottom - HEIGHT * part + 5} text-anchor="end">
            {shownNumber(longest * part)}
          </text>
        </g>
      ))}
      {of.values.map(({ name, numbers }, at) => {
        const x = SCALE + step * at;
        const starts = begins(numbers);
        const high = (number: number) => (number / longest) * (bottom - top);
        return (
          <g key={name}>
            {numbers.map(
              (number, part) =>
                number > 0 && (
                  <rect key={part} x={x} y={bottom - high((starts[part] ?? 0) + number)} width={Math.max(step * 0.9, 0.4)} height={high(number)} fill={colour(part)}>
                    <title>{`${name}, ${of.parts[part]}: ${shownNumber(number)}`}</title>
                  </rect>
                ),
            )}
            {at % every === 0 && (
              <text x={x} y={bottom + 18} font-size="11">
                {name.slice(0, 16).replace("T", " ")}
              </text>
            )}
          </g>
        );
      })}
    </>
  );
}

/** The next number that begins with 1, 2 or 5, times four of which a scale is made. */
export function roundedUp(number: number): number {
  for (let scale = 1; Number.isFinite(scale); scale *= 10) {
    const found = [4, 8, 20].find((step) => number <= step * scale);
    if (found !== undefined) {
      return found * scale;
    }
  }
  return number;
}
