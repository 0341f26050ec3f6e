// Comma-separated values for spreadsheets (RFC 4180), in which no cell is a formula.

/** A cell. What a spreadsheet would take for a formula begins with an apostrophe, which makes it text. */
export function cell(value: string): string {
  const text = /^[=+\-@\t\r\n|]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csv(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Hands a text to the browser, which asks where to keep it. */
export function save(name: string, text: string): void {
  // The mark at the beginning has spreadsheets read UTF-8.
  const address = URL.createObjectURL(new Blob(["\uFEFF", text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
