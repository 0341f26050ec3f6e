//! `gridtrail sp`, `idp` and `session`: who may vouch for people, whose sessions end, and what is forgotten of whom.

use crate::args::{
    AddAccountArgs, AddIdpArgs, ForgetArgs, IdpCommand, ListFormat, RemoveAccountArgs, RemoveIdpArgs,
    ReplaceIdpArgs, RevokeArgs, SessionCommand, SpArgs, SpCommand, TrustArgs, WhichSessions,
};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, Grid, printable, table_with};
use crate::text;
use gridtrail_access::OrgId;
use gridtrail_lake::Lake;
use gridtrail_saml::{IdentityProvider, ServiceProvider, TrustAnchors};
use gridtrail_session::{
    Account, Objects, PersonId, Provider, ProviderSettings, Register, SessionId, forget, revoke,
};
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The folder beside the lake's tables that holds what all servers share of logins.
const FOLDER: &str = "_sessions";

/// Where what all servers share of logins lies.
pub(crate) fn objects_of(lake: &Lake) -> Result<Objects, Failure> {
    let (store, folder) = lake.beside(FOLDER)?;
    Ok(Objects::new(store, folder))
}

pub(crate) fn service_provider(entity_id: &str, acs_url: &str) -> Result<ServiceProvider, Failure> {
    let fault = |error: gridtrail_saml::ServiceProviderFault| Failure::Argument {
        argument: "--saml-entity-id, --saml-acs-url",
        reason: error.to_string(),
    };
    ServiceProvider::new(entity_id, acs_url).map_err(fault)
}

/// Reads the anchors, and what is revoked.
pub(crate) fn trust_anchors(args: &TrustArgs) -> Result<TrustAnchors, Failure> {
    let named = |path: &Option<PathBuf>, argument: &'static str| match path {
        Some(path) => text::bytes(path),
        None => {
            let reason = "signing certificates are judged by it: name a file".to_owned();
            Err(Failure::Argument { argument, reason })
        }
    };
    let anchors = named(&args.saml_anchors, "--saml-anchors")?;
    let revoked = named(&args.saml_revoked, "--saml-revoked")?;
    let between = args.saml_intermediates.as_deref().map(text::bytes).transpose()?.unwrap_or_default();
    TrustAnchors::new(&anchors, &between, &revoked).map_err(|error| Failure::Argument {
        argument: "--saml-anchors, --saml-intermediates, --saml-revoked",
        reason: error.to_string(),
    })
}

pub(crate) fn service_provider_command(command: &SpCommand) -> Result<(), Failure> {
    let SpCommand::Metadata(SpArgs { saml_entity_id, saml_acs_url }) = command;
    let metadata = service_provider(saml_entity_id, saml_acs_url)?.metadata();
    output::write(&mut io::stdout().lock(), format!("{metadata}\n").as_bytes())
}

pub(crate) async fn session_command(command: &SessionCommand) -> Result<(), Failure> {
    match command {
        SessionCommand::Revoke(args) => revoke_session(args).await,
        SessionCommand::Forget(args) => forget_person(args).await,
    }
}

async fn revoke_session(RevokeArgs { session, of }: &RevokeArgs) -> Result<(), Failure> {
    let id: SessionId = session.parse().map_err(|_| Failure::Argument {
        argument: "SESSION",
        reason: "a session is named by 64 hexadecimal digits in lower case, as logs have it".to_owned(),
    })?;
    let lake = open_existing(&of.lake).await?;
    match revoke(&objects_of(&lake)?, &id).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::NoSession { session: session.clone() }),
        Err(error) => Err(Failure::Register(error.into())),
    }
}

async fn forget_person(ForgetArgs { subject, party, of }: &ForgetArgs) -> Result<(), Failure> {
    let lake = open_existing(&of.lake).await?;
    match forget(&objects_of(&lake)?, &PersonId::of(party, subject)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::NothingOfPerson { subject: subject.clone(), party: party.to_string() }),
        Err(error) => Err(Failure::Register(error.into())),
    }
}

pub(crate) async fn run(command: &IdpCommand, format: ListFormat) -> Result<(), Failure> {
    match command {
        IdpCommand::Add(args) => add(args, format).await,
        IdpCommand::Replace(args) => replace(args).await,
        IdpCommand::List(of) => list(of, format).await,
        IdpCommand::Remove(RemoveIdpArgs { entity_id, of }) => {
            Ok(register_of(of).await?.1.remove(entity_id).await?)
        }
        IdpCommand::AddAccount(args) => add_account(args, format).await,
        IdpCommand::ListAccounts(of) => list_accounts(of, format).await,
        IdpCommand::RemoveAccount(RemoveAccountArgs { subject, of }) => {
            Ok(register_of(of).await?.1.remove_account(subject).await?)
        }
    }
}

async fn register_of(of: &WhichSessions) -> Result<(Lake, Register), Failure> {
    let lake = open_existing(&of.lake).await?;
    let register = Register::new(objects_of(&lake)?, lake.clock().clone());
    Ok((lake, register))
}

async fn add(args: &AddIdpArgs, format: ListFormat) -> Result<(), Failure> {
    let metadata = text::read(&args.metadata)?;
    let anchors = trust_anchors(&args.trust)?;
    let settings = ProviderSettings {
        org_id: args.org_id,
        allow_unsolicited: args.allow_unsolicited,
        authn_contexts: args.authn_context.clone(),
    };
    let (_, register) = register_of(&args.of).await?;
    let provider = register.add(&metadata, args.party.as_ref(), settings, &anchors).await?;
    show(&[provider], format)
}

/// Takes in new metadata of the Identity Provider that they name.
async fn replace(args: &ReplaceIdpArgs) -> Result<(), Failure> {
    let metadata = text::read(&args.metadata)?;
    let anchors = trust_anchors(&args.trust)?;
    let read = IdentityProvider::from_metadata(&metadata)
        .map_err(|fault| Failure::Register(gridtrail_session::RegisterError::Metadata(fault)))?;
    let (_, register) = register_of(&args.of).await?;
    Ok(register.replace_metadata(read.entity_id(), &metadata, &anchors).await?)
}

async fn list(of: &WhichSessions, format: ListFormat) -> Result<(), Failure> {
    show(&register_of(of).await?.1.list().await?, format)
}

async fn add_account(args: &AddAccountArgs, format: ListFormat) -> Result<(), Failure> {
    let text = text::read(&args.name_id_file)?;
    let name_id = text.trim_end_matches(['\r', '\n']);
    if name_id.is_empty() {
        let reason = "it holds no NameID".to_owned();
        return Err(Failure::Argument { argument: "--name-id-file", reason });
    }
    let (_, register) = register_of(&args.of).await?;
    let account = register.add_account(&args.entity_id, name_id, &args.party).await?;
    show_accounts(&[account], format)
}

async fn list_accounts(of: &WhichSessions, format: ListFormat) -> Result<(), Failure> {
    show_accounts(&register_of(of).await?.1.accounts().await?, format)
}

/// An Identity Provider. The fields are an interface: programs read them as JSON.
#[derive(Debug, Serialize)]
struct ProviderRow<'a> {
    entity_id: &'a str,
    /// Absent: the DCC's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<&'a str>,
    sso_url: &'a str,
    certificates: usize,
    org_id: OrgId,
    allow_unsolicited: bool,
    authn_contexts: &'a [String],
    enrolled_at: String,
}

fn row(provider: &Provider) -> ProviderRow<'_> {
    let (read, settings) = (provider.identity_provider(), provider.settings());
    ProviderRow {
        entity_id: read.entity_id(),
        party: provider.party().map(|party| party.as_str()),
        sso_url: read.sso_url(),
        certificates: read.certificates().len(),
        org_id: settings.org_id,
        allow_unsolicited: settings.allow_unsolicited,
        authn_contexts: &settings.authn_contexts,
        enrolled_at: provider.enrolled_at().to_string(),
    }
}

fn show(providers: &[Arc<Provider>], format: ListFormat) -> Result<(), Failure> {
    let rows: Vec<ProviderRow<'_>> = providers.iter().map(|provider| row(provider)).collect();
    let mut out = io::stdout().lock();
    if format == ListFormat::Json {
        return output::write_json(&mut out, &rows);
    }
    let mut table = table_with(&["Entity ID", "Party", "OrgID", "Unsolicited", "Certificates", "Enrolled"]);
    for row in &rows {
        table.add_row([
            printable(row.entity_id),
            row.party.map_or("(accounts)".to_owned(), printable),
            row.org_id.to_string(),
            if row.allow_unsolicited { "allowed" } else { "refused" }.to_owned(),
            row.certificates.to_string(),
            row.enrolled_at.clone(),
        ]);
    }
    print(&mut out, &table, format)
}

fn print(out: &mut impl io::Write, table: &Grid, format: ListFormat) -> Result<(), Failure> {
    match format {
        ListFormat::Csv => output::write(out, &table.csv()?),
        _ => output::write(out, format!("{table}\n").as_bytes()),
    }
}

/// An account. The fields are an interface: programs read them as JSON.
#[derive(Debug, Serialize)]
struct AccountRow<'a> {
    subject: &'a str,
    party: &'a str,
}

fn show_accounts(accounts: &[Account], format: ListFormat) -> Result<(), Failure> {
    let rows: Vec<AccountRow<'_>> = accounts
        .iter()
        .map(|Account { subject, party, .. }| AccountRow { subject, party: party.as_str() })
        .collect();
    let mut out = io::stdout().lock();
    if format == ListFormat::Json {
        return output::write_json(&mut out, &rows);
    }
    let mut table = table_with(&["Person", "Party"]);
    for AccountRow { subject, party } in rows {
        table.add_row([subject.to_owned(), printable(party)]);
    }
    print(&mut out, &table, format)
}
