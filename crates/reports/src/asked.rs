//! What a record says of a report that was asked for: the same, whoever makes it.

use crate::argument::Arguments;
use crate::output::OutputFormat;
use crate::parameter::ParameterKind;
use crate::report::Report;
use gridtrail_model::UserId;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Keys of a report that are noted: of how many User IDs it is stands beside them.
const KEYS_MAX: usize = 16;

/// What is noted of what is asked of a report: what searches note of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it is about, each with its kind: the first of these.
    pub keys: Vec<(&'static str, String)>,
    /// The Service Reference Variant.
    pub variants: Option<String>,
    /// The report, its version, its form and its other parameters. Of one that takes any text, that it was given.
    pub detail: String,
}

impl Report {
    /// What is noted of what is asked of it. `form`: how it is written down; `None`: as rows.
    pub fn asked(
        &self,
        form: Option<OutputFormat>,
        arguments: &Arguments,
        user_ids: &BTreeSet<UserId>,
    ) -> Asked {
        let form = form.map_or("rows", OutputFormat::name);
        let count = if user_ids.is_empty() { "all".to_owned() } else { user_ids.len().to_string() };
        let detail = format!("{} version={} form={form} user_ids={count}", self.name, self.version);
        let mut asked = Asked { keys: Vec::new(), variants: None, detail };
        for (name, value) in arguments.shown() {
            let kind = self.parameters.iter().find(|parameter| parameter.name == name).map(|one| &one.kind);
            // Writing to a text cannot fail.
            let _ = match kind {
                Some(ParameterKind::DeviceId) => {
                    asked.keys.push(("device_id", value));
                    Ok(())
                }
                Some(ParameterKind::Mpxn) => {
                    asked.keys.push(("mpxn", value));
                    Ok(())
                }
                Some(ParameterKind::ServiceReferenceVariant) => {
                    asked.variants = Some(value);
                    Ok(())
                }
                Some(ParameterKind::Text { .. }) | None => write!(asked.detail, " {name}=?"),
                Some(_) => write!(asked.detail, " {name}={value}"),
            };
        }
        asked.keys.extend(user_ids.iter().map(|id| ("user_id", id.to_string())));
        asked.keys.truncate(KEYS_MAX);
        asked
    }
}
