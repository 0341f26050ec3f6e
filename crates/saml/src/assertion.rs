//! What an assertion says, read from its canonical bytes.

use crate::identity_provider::IdentityProvider;
use crate::limits::{
    ASSERTION_LIFE_MS_MAX, NAME_ID_BYTES_MAX, ORG_IDS_MAX, ROLES_MAX, SESSION_MS_MAX, VALUE_BYTES_MAX,
};
use crate::message_id::MessageId;
use crate::names;
use crate::refusal::{Excerpt, Refusal};
use crate::response::{Expected, check_issuer};
use crate::xml::Element;
use gridtrail_model::Timestamp;
use std::fmt;

/// An assertion that was verified, and that is meant for this service at this time.
///
/// Its debug form leaves the name out: it stands for a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Its identifier, which may be used once.
    pub id: MessageId,
    /// The entity id of the Identity Provider that issued it.
    pub issuer: String,
    /// The persistent name of the person: 1 to 256 bytes without control characters, unique within the issuer.
    pub name_id: String,
    /// When the person was authenticated.
    pub authn_instant: Timestamp,
    /// When the Identity Provider ends the session.
    pub session_not_on_or_after: Timestamp,
    /// From when on `id` may be forgotten: by then the assertion would be refused as expired, skew included.
    pub not_on_or_after: Timestamp,
    /// The request that it answers; none where unsolicited ones are allowed.
    pub in_response_to: Option<MessageId>,
    /// The Job Type Roles, as `Role name` lists them; at least one.
    pub roles: Vec<String>,
    /// The User IDs, as `OrgID` lists them; may be none.
    pub org_ids: Vec<String>,
    /// How the person was authenticated.
    pub authn_context: String,
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion")
            .field("id", &self.id)
            .field("issuer", &self.issuer)
            .field("authn_instant", &self.authn_instant)
            .field("session_not_on_or_after", &self.session_not_on_or_after)
            .field("roles", &self.roles)
            .field("org_ids", &self.org_ids.len())
            .finish_non_exhaustive()
    }
}

const WHAT: &str = "the assertion";

impl Assertion {
    /// When a session made from this assertion ends: 8.5 hours after the authentication, or earlier where the Identity Provider
    /// says so. Clause 1.2.
    pub fn session_ends_at(&self) -> Timestamp {
        self.session_not_on_or_after.min(self.authn_instant.plus_millis(SESSION_MS_MAX))
    }

    /// From an `Assertion` element without its signature.
    pub(crate) fn of(
        element: &Element,
        id: MessageId,
        identity_provider: &IdentityProvider,
        expected: &Expected<'_>,
    ) -> Result<Self, Refusal> {
        let parts = ["Issuer", "Subject", "Conditions", "AuthnStatement", "AttributeStatement"];
        nothing_but(&parts, element, WHAT)?;
        if element.attribute("Version") != Some("2.0") {
            return Err(Refusal::Version(WHAT));
        }
        check_issuer(element, WHAT, identity_provider)?;
        not_future(time_of(element, "IssueInstant")?, "IssueInstant", expected)?;
        let conditions = conditions_of(only(element, "Conditions")?, expected)?;
        let subject = only(element, "Subject")?;
        nothing_but(&["NameID", "SubjectConfirmation"], subject, "the subject")?;
        let confirmation = confirmation_of(subject, expected)?;
        let authentication = authentication_of(only(element, "AuthnStatement")?, expected)?;
        let attributes = only(element, "AttributeStatement")?;
        nothing_but(&["Attribute"], attributes, "the attributes")?;
        let roles = values_of(attributes, names::ROLE_NAME, ROLES_MAX)?;
        if roles.is_empty() {
            return Err(Refusal::Malformed("the attribute Role name"));
        }
        let assertion = Self {
            id,
            issuer: identity_provider.entity_id().to_owned(),
            name_id: name_of(subject, identity_provider, expected)?,
            authn_instant: authentication.instant,
            session_not_on_or_after: authentication.session_not_on_or_after,
            not_on_or_after: conditions.min(confirmation.not_on_or_after).plus_millis(expected.skew.millis()),
            in_response_to: confirmation.in_response_to,
            roles,
            org_ids: values_of(attributes, names::ORG_ID, ORG_IDS_MAX)?,
            authn_context: authentication.context,
        };
        // A session is never stretched by skew: it would be over before it began.
        let ends_at = assertion.session_ends_at();
        if expected.now >= ends_at {
            return Err(Refusal::Expired { what: "the session", at: ends_at });
        }
        Ok(assertion)
    }
}

/// Demands that an element has no children but those, in the namespace of assertions, and no text.
fn nothing_but(parts: &[&str], element: &Element, parent: &'static str) -> Result<(), Refusal> {
    let known = |child: &&Element| child.space == names::ASSERTION && parts.contains(&child.name.as_str());
    match element.without_text()?.children.iter().find(|child| !known(child)) {
        Some(child) => Err(Refusal::Unexpected { element: Excerpt::of(&child.name), parent }),
        None => Ok(()),
    }
}

/// The only child of that name, in the namespace of assertions.
fn only<'a>(parent: &'a Element, name: &'static str) -> Result<&'a Element, Refusal> {
    parent.only_child(names::ASSERTION, name).ok_or(Refusal::Malformed(name))
}

/// A time: `xs:dateTime` in UTC, as SAML 2.0 core, 1.3.3, demands.
fn time_of(element: &Element, attribute: &'static str) -> Result<Timestamp, Refusal> {
    let text = element.attribute(attribute).unwrap_or_default();
    let utc = text.ends_with('Z') && text.contains('T');
    text.parse().ok().filter(|_| utc).ok_or(Refusal::Malformed(attribute))
}

fn not_future(at: Timestamp, what: &'static str, expected: &Expected<'_>) -> Result<(), Refusal> {
    if expected.now.plus_millis(expected.skew.millis()) < at {
        return Err(Refusal::NotYetValid { what, at });
    }
    Ok(())
}

fn not_over(at: Timestamp, what: &'static str, expected: &Expected<'_>) -> Result<(), Refusal> {
    if expected.now >= at.plus_millis(expected.skew.millis()) {
        return Err(Refusal::Expired { what, at });
    }
    Ok(())
}

/// Judges the conditions; gives `NotOnOrAfter`. Clause 1.4.4 allows three kinds, and all three are demanded.
fn conditions_of(conditions: &Element, expected: &Expected<'_>) -> Result<Timestamp, Refusal> {
    let other = conditions.attributes.iter().find(|attribute| {
        !attribute.space.is_empty() || !matches!(attribute.name.as_str(), "NotBefore" | "NotOnOrAfter")
    });
    if let Some(attribute) = other {
        return Err(Refusal::Condition(Excerpt::of(&attribute.name)));
    }
    let restrictions = &conditions.without_text()?.children;
    if let Some(other) = restrictions.iter().find(|child| !child.is(names::ASSERTION, "AudienceRestriction"))
    {
        return Err(Refusal::Condition(Excerpt::of(&other.name)));
    }
    let (from, to) = (time_of(conditions, "NotBefore")?, time_of(conditions, "NotOnOrAfter")?);
    if !(1..=ASSERTION_LIFE_MS_MAX).contains(&(to.millis() - from.millis())) {
        return Err(Refusal::Lifetime);
    }
    not_future(from, "NotBefore", expected)?;
    not_over(to, "NotOnOrAfter", expected)?;
    // Each restriction holds for itself; within one, any audience will do.
    if restrictions.is_empty() {
        return Err(Refusal::Malformed("AudienceRestriction"));
    }
    for restriction in restrictions {
        nothing_but(&["Audience"], restriction, "an audience restriction")?;
        let mut includes = false;
        for audience in restriction.children_named(names::ASSERTION, "Audience") {
            includes |= audience.text()? == expected.service_provider.entity_id();
        }
        if !includes {
            return Err(Refusal::Audience);
        }
    }
    Ok(to)
}

struct Confirmation {
    not_on_or_after: Timestamp,
    in_response_to: Option<MessageId>,
}

/// Judges the one confirmation of the subject.
fn confirmation_of(subject: &Element, expected: &Expected<'_>) -> Result<Confirmation, Refusal> {
    let confirmation = only(subject, "SubjectConfirmation")?;
    let method = confirmation.attribute("Method").unwrap_or_default();
    if method != names::BEARER {
        return Err(Refusal::ConfirmationMethod(Excerpt::of(method)));
    }
    let data = only(confirmation, "SubjectConfirmationData")?;
    if data.attribute("NotBefore").is_some() {
        return Err(Refusal::Condition(Excerpt::of("NotBefore of the SubjectConfirmationData")));
    }
    match data.attribute("Recipient") {
        Some(address) if address == expected.service_provider.acs_url() => {}
        other => return Err(Refusal::Recipient(Excerpt::of(other.unwrap_or_default()))),
    }
    let not_on_or_after = time_of(data, "NotOnOrAfter")?;
    not_over(not_on_or_after, "NotOnOrAfter of the SubjectConfirmationData", expected)?;
    let in_response_to = match data.attribute("InResponseTo") {
        None if expected.allows_unsolicited => None,
        None => return Err(Refusal::Unsolicited),
        Some(answered) => match expected.outstanding {
            Some(outstanding) if outstanding.as_str() == answered => Some(outstanding.clone()),
            _ => return Err(Refusal::InResponseTo),
        },
    };
    Ok(Confirmation { not_on_or_after, in_response_to })
}

/// The persistent name of the subject.
fn name_of(
    subject: &Element,
    identity_provider: &IdentityProvider,
    expected: &Expected<'_>,
) -> Result<String, Refusal> {
    let name_id = only(subject, "NameID")?;
    let format = name_id.attribute("Format").unwrap_or_default();
    if format != names::PERSISTENT {
        return Err(Refusal::NameIdFormat(Excerpt::of(format)));
    }
    let qualifiers = [
        ("NameQualifier", identity_provider.entity_id()),
        ("SPNameQualifier", expected.service_provider.entity_id()),
    ];
    for (attribute, own) in qualifiers {
        if let Some(other) = name_id.attribute(attribute).filter(|found| *found != own) {
            return Err(Refusal::NameIdQualifier(Excerpt::of(other)));
        }
    }
    let name = name_id.text()?;
    let fits = (1..=NAME_ID_BYTES_MAX).contains(&name.len())
        && name.trim() == name
        && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(Refusal::Malformed("NameID")) }
}

struct Authentication {
    instant: Timestamp,
    session_not_on_or_after: Timestamp,
    context: String,
}

fn authentication_of(statement: &Element, expected: &Expected<'_>) -> Result<Authentication, Refusal> {
    let instant = time_of(statement, "AuthnInstant")?;
    not_future(instant, "AuthnInstant", expected)?;
    let session_not_on_or_after = time_of(statement, "SessionNotOnOrAfter")?;
    let context = only(only(statement, "AuthnContext")?, "AuthnContextClassRef")?.text()?.to_owned();
    if !expected.authn_contexts.contains(&context) {
        return Err(Refusal::AuthnContext(Excerpt::of(&context)));
    }
    Ok(Authentication { instant, session_not_on_or_after, context })
}

/// The values of an attribute, separated by commas or in elements of their own; none if it is absent or empty.
fn values_of(statement: &Element, name: &'static str, values_max: usize) -> Result<Vec<String>, Refusal> {
    let mut named = statement
        .children_named(names::ASSERTION, "Attribute")
        .filter(|attribute| attribute.attribute("Name") == Some(name));
    let Some(attribute) = named.next() else { return Ok(Vec::new()) };
    if named.next().is_some() {
        return Err(Refusal::Malformed(name));
    }
    nothing_but(&["AttributeValue"], attribute, "an attribute")?;
    let mut values = Vec::new();
    for element in attribute.children_named(names::ASSERTION, "AttributeValue") {
        let listed = element.text()?.split(',').map(str::trim).filter(|value| !value.is_empty());
        for value in listed {
            if value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) {
                return Err(Refusal::Malformed(name));
            }
            if values.len() == values_max {
                return Err(Refusal::TooManyValues(name));
            }
            values.push(value.to_owned());
        }
    }
    Ok(values)
}
