//! The proof as one HTML page that needs nothing else: to be filed, mailed or printed.

use super::{Answer, fault_text, verdict};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1a1a1a}\
    table{border-collapse:collapse;width:100%;font-size:.9rem}\
    th,td{border-bottom:1px solid #ccc;padding:.35rem .6rem;text-align:left;vertical-align:top}\
    td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
    p.verdict{padding:.6rem 1rem;border-left:.4rem solid #00703c;background:#eef7f1}\
    p.verdict.bad{border-color:#b00020;background:#fbeef0}\
    @media print{body{margin:0;max-width:none}}";

/// What each column means, for readers who were never told.
const COLUMNS: [(&str, &str); 10] = [
    ("Source", "A partition of a topic, or a file."),
    ("Up to", "Every position below this one is accounted for: offsets of a partition, bytes of a file."),
    ("Records", "Records read."),
    ("Stored", "Records that went into the audit trail at once."),
    ("Parked", "Records that were shown on their own until their request was known."),
    ("Duplicates", "Records among those that repeat what came with them. They change nothing."),
    ("Dead letters", "Records that could not be read. They are kept as they came."),
    ("Replayed", "Dead letters that could be read later, and went into the audit trail then."),
    ("Dismissed", "Dead letters that a person declared to be no events."),
    ("Skipped", "Positions that hold no record to read, each with the reason."),
];

/// The page.
pub(super) fn html_of(answer: &Answer) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en-GB\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Reconciliation</title>\n\
         <style>{STYLE}</style>\n<h1>Reconciliation</h1>\n<p>Lake {} on {}.</p>\n<p class=\"verdict{}\">{}</p>\n",
        escape(&answer.lake),
        escape(&answer.at),
        if answer.clean { "" } else { " bad" },
        escape(&verdict(answer)),
    );
    if !answer.faults.is_empty() {
        page.push_str("<h2>What does not add up</h2>\n<ul>\n");
        for fault in &answer.faults {
            page.push_str(&format!("<li>{}</li>\n", escape(&fault_text(fault))));
        }
        page.push_str("</ul>\n");
    }
    page.push_str("<h2>Sources</h2>\n");
    page.push_str(&table_of(answer));
    let events =
        answer.sources.iter().flat_map(|source| source.events.iter().map(move |e| (&source.name, e)));
    let events: Vec<_> =
        events.map(|(name, e)| format!("<li>{}: {}</li>\n", escape(name), escape(e))).collect();
    if !events.is_empty() {
        page.push_str(&format!("<h2>Events</h2>\n<ul>\n{}</ul>\n", events.concat()));
    }
    let unread: Vec<_> = answer
        .unread
        .iter()
        .map(|(partition, offsets)| format!("<li>{}: {offsets} offsets</li>\n", escape(partition)))
        .collect();
    if !unread.is_empty() {
        page.push_str(&format!("<h2>Not read yet</h2>\n<ul>\n{}</ul>\n", unread.concat()));
    }
    page.push_str("<h2>What the columns mean</h2>\n<dl>\n");
    for (name, meaning) in COLUMNS {
        page.push_str(&format!("<dt><strong>{name}</strong></dt><dd>{meaning}</dd>\n"));
    }
    page.push_str("</dl>\n</html>\n");
    page
}

fn table_of(answer: &Answer) -> String {
    let compared = answer.sources.iter().any(|source| source.against_kafka.is_some());
    let mut head: String = COLUMNS.iter().map(|(name, _)| format!("<th>{name}</th>")).collect();
    head.push_str(if compared { "<th>Ranges against Kafka</th>" } else { "" });
    let mut rows = String::new();
    for source in &answer.sources {
        let counts = [
            source.records,
            source.stored,
            source.parked,
            source.duplicates,
            source.dead_lettered,
            source.replayed,
            source.dismissed,
        ];
        let counts: String = counts.iter().map(|count| format!("<td class=\"n\">{count}</td>")).collect();
        let kafka =
            if compared { format!("<td>{}</td>", escape(&source.compared_text())) } else { String::new() };
        rows.push_str(&format!(
            "<tr><td title=\"{}\">{}</td><td class=\"n\">{}</td>{counts}<td>{}</td>{kafka}</tr>\n",
            escape(&source.source),
            escape(&source.name),
            source.to,
            escape(&source.skipped_text()),
        ));
    }
    format!("<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n")
}

/// Text for HTML: names and events come from outside.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_reconcile::{Fault, FaultKind, Proof, SourceProof};

    #[test]
    fn names_from_outside_are_text_on_the_page() {
        let source = SourceProof { name: "<script>alert(1)</script>".to_owned(), ..SourceProof::default() };
        let fault = Fault {
            kind: FaultKind::Gap,
            source: "a&b".to_owned(),
            version: Some(7),
            what: "nothing says what became of 3 to 5".to_owned(),
        };
        let proof = Proof { sources: vec![source], faults: vec![fault], fault_count: 1, ..Proof::default() };
        let page = html_of(&Answer::of("data/lake", proof));
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
        assert!(page.contains("gap a&amp;b of version 7: nothing says what became of 3 to 5"), "{page}");
        assert!(page.contains("1 thing does not add up"), "{page}");
    }
}
