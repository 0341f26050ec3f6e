//! Why a person is not logged in: in full for the log, in one sentence for the person.

use crate::certificate::CertificateFault;
use crate::signed_info::SignedInfoFault;
use crate::xml::XmlFault;
use gridtrail_model::Timestamp;
use std::fmt;

/// All that a person is told of a refused login: Appendix AH, clause 1.3. Which check failed is for the log alone.
pub const OUTWARD_SENTENCE: &str = "You could not be logged in. Please submit your credentials again.";

/// The beginning of a text that somebody else wrote, fit for one line of a log: 120 characters at most, and none that steers
/// a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    const CHARACTERS_MAX: usize = 120;

    pub(crate) fn of(text: &str) -> Self {
        let shown = |character: char| if character.is_control() { '\u{fffd}' } else { character };
        Self(text.chars().take(Self::CHARACTERS_MAX).map(shown).collect())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Why a response is not believed. For the log, never for the person: see [`OUTWARD_SENTENCE`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    // What was posted.
    /// Longer than any honest response.
    #[error("the response is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes of the decoded response.
        limit: usize,
    },
    /// Not base64.
    #[error("the response is not base64")]
    NotBase64,
    /// Not UTF-8, once decoded. A deflated response ends here.
    #[error("the response is not UTF-8")]
    NotUtf8,
    /// Not XML of the kind that is read.
    #[error("read the response: {0}")]
    Xml(#[from] XmlFault),

    // The shape of the response.
    /// The root element is no `Response`.
    #[error("the root element is {0}, not a SAML Response")]
    NotAResponse(Excerpt),
    /// An identifier is missing, or is not made as [`MessageId`](crate::MessageId) says.
    #[error("{0} has no identifier, or one that is not read")]
    Identifier(&'static str),
    /// Two elements have the same identifier.
    #[error("two elements have the identifier {0}")]
    DuplicateIdentifier(Excerpt),
    /// Something is encrypted. Clause 1.4.4 forbids that.
    #[error("the response holds {0}, and nothing may be encrypted")]
    Encrypted(Excerpt),
    /// The Identity Provider says that it authenticated nobody.
    #[error("the Identity Provider answered with the status {0}")]
    Status(Excerpt),
    /// There is no assertion, or more than one, wherever they stand.
    #[error("the response holds {0} assertions, not one")]
    Assertions(usize),
    /// The assertion is not a direct child of the response.
    #[error("the assertion is not a direct child of the response")]
    AssertionPlace,
    /// Nothing is signed.
    #[error("nothing is signed")]
    Unsigned,
    /// The response is signed. Clause 1.4.4 forbids that.
    #[error("the response itself is signed; only the assertion may be")]
    ResponseSigned,
    /// There is more than one signature, wherever they stand.
    #[error("the response holds {0} signatures, not one")]
    Signatures(usize),
    /// The signature is not a direct child of the assertion.
    #[error("the signature is not a direct child of the assertion")]
    SignaturePlace,
    /// An element stands where it has no business.
    #[error("{element} is not expected within {parent}")]
    Unexpected {
        /// The element.
        element: Excerpt,
        /// Where it stands.
        parent: &'static str,
    },

    // The signature.
    /// The signature is not made in the one way that is accepted.
    #[error("the signature is not accepted: {0}")]
    SignedInfo(#[from] SignedInfoFault),
    /// The signature was made with none of the enrolled keys, or what it covers was changed.
    #[error("the signature does not verify with any enrolled certificate")]
    Signature,
    /// The signature verified, but what it covers is not what would be read.
    #[error("what the signature covers is not the assertion that would be read")]
    Differs,
    /// The certificate that verified the signature does not hold.
    #[error("the signing certificate is not accepted: {0}")]
    Certificate(#[from] CertificateFault),

    // What the response and the assertion say.
    /// Not SAML 2.0.
    #[error("{0} is not of SAML version 2.0")]
    Version(&'static str),
    /// An element or attribute is missing, stands more than once or holds what it cannot.
    #[error("{0} is missing, stands more than once or is malformed")]
    Malformed(&'static str),
    /// Sent to another address.
    #[error("the Destination is {0}, not this service")]
    Destination(Excerpt),
    /// Meant to be taken to another address.
    #[error("the Recipient is {0}, not this service")]
    Recipient(Excerpt),
    /// Issued by somebody else.
    #[error("the issuer of {what} is {found}, not the Identity Provider")]
    Issuer {
        /// Of what.
        what: &'static str,
        /// The issuer.
        found: Excerpt,
    },
    /// Meant for another service provider.
    #[error("the audience does not include this service")]
    Audience,
    /// A condition that clause 1.4.4 does not allow.
    #[error("the condition {0} is not allowed")]
    Condition(Excerpt),
    /// The subject is confirmed in another way than by bearing the assertion.
    #[error("the subject is confirmed by {0}, not as bearer")]
    ConfirmationMethod(Excerpt),
    /// Not an answer to the outstanding request.
    #[error("it answers another request than the one that is outstanding")]
    InResponseTo,
    /// An answer to no request, which this Identity Provider may not send.
    #[error("it answers no request, and this Identity Provider may not begin")]
    Unsolicited,
    /// Not yet valid, skew included.
    #[error("{what} lies in the future: {at}")]
    NotYetValid {
        /// Which time.
        what: &'static str,
        /// That time.
        at: Timestamp,
    },
    /// No longer valid, skew included.
    #[error("{what} is over: {at}")]
    Expired {
        /// Which time.
        what: &'static str,
        /// That time.
        at: Timestamp,
    },
    /// Valid for longer than an identifier is remembered.
    #[error("the assertion is valid for more than 24 hours, or for no time at all")]
    Lifetime,
    /// The name is not persistent.
    #[error("the format of the NameID is {0}, not persistent")]
    NameIdFormat(Excerpt),
    /// The name is qualified by somebody else.
    #[error("the NameID is qualified by {0}")]
    NameIdQualifier(Excerpt),
    /// The person was authenticated in a way that is not strong enough.
    #[error("the authentication context is {0}, which is not on the list")]
    AuthnContext(Excerpt),
    /// More values than a limit allows.
    #[error("the attribute \"{0}\" has too many values")]
    TooManyValues(&'static str),
}
