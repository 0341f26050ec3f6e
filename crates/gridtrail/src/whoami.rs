//! `gridtrail whoami`: what a server makes of the caller's token.

use crate::args::{ListFormat, WhoamiArgs};
use crate::client::{Caller, time, token_of};
use crate::exit::Failure;
use crate::output::{self, printable, proto3};
use gridtrail_proto::query::v1::ProfileResponse;
use std::io;

pub(crate) async fn run(args: &WhoamiArgs, format: ListFormat) -> Result<(), Failure> {
    let caller = Caller::connect(&args.server, &token_of(&args.credential)?).await?;
    let profile = caller.profile().await?;
    let mut out = io::stdout().lock();
    match format {
        ListFormat::Json => proto3::write_json(&mut out, &profile),
        ListFormat::Csv => proto3::write_csv(&mut out, &[profile]),
        ListFormat::Table => output::write(&mut out, text_of(&profile).as_bytes()),
    }
}

fn text_of(profile: &ProfileResponse) -> String {
    let ProfileResponse { party, user_ids, job_type_roles, functional_components, expires_at, .. } = profile;
    let lists = [
        ("Party", std::slice::from_ref(party)),
        ("Sees the rows of", user_ids),
        ("Job Type Roles", job_type_roles),
        ("May use", functional_components),
    ];
    let mut text = String::new();
    for (mut name, values) in lists {
        if values.is_empty() {
            text.push_str(&format!("{name:<18}none\n"));
        }
        for value in values {
            text.push_str(&format!("{name:<18}{}\n", printable(value)));
            name = "";
        }
    }
    text + &format!("{:<18}{}\n", "Until", time(*expires_at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_line_and_none_is_said() {
        let profile = ProfileResponse {
            party: "supplier-1".into(),
            user_ids: vec!["90-B3-D5-1F-30-02-00-00".into(), "90-B3-D5-1F-30-02-00-02".into()],
            ..ProfileResponse::default()
        };
        let text = text_of(&profile);
        assert!(
            text.starts_with("Party             supplier-1\nSees the rows of  90-B3-D5-1F-30-02-00-00\n"),
            "{text}"
        );
        assert!(
            text.contains("\n                  90-B3-D5-1F-30-02-00-02\nJob Type Roles    none\n"),
            "{text}"
        );
    }
}
