//! `docs/reports.md` says what the manifests say.

use gridtrail_reports::{Catalogue, page_of};
use std::path::Path;

/// What stands below this line is made of the manifests.
const MARKER: &str = "<!-- Below this line: as schemas/reports has it. -->\n";

#[test]
fn the_page_of_reports_is_that_of_the_manifests() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reports.md");
    let page = std::fs::read_to_string(path).unwrap();
    let reports = Catalogue::built_in().map_err(|error| error.to_string()).unwrap();
    let (above, below) = page.split_once(MARKER).expect("the marker stands in docs/reports.md");
    let expected = format!("\n{}", page_of(&reports));
    if below != expected {
        let right = std::env::temp_dir().join("reports.md");
        std::fs::write(&right, format!("{above}{MARKER}{expected}")).unwrap();
        panic!("docs/reports.md is not what the manifests say; {} is", right.display());
    }
}
