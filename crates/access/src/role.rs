//! Job Type Roles, functional components, and which role may use which component.

use crate::AccessError;
use std::fmt;
use std::str::FromStr;

/// One of the eleven Job Type Roles of Smart Energy Code Appendix AH, clause 1.9, by its column.
///
/// The published text has lost the headings of the columns, so a role goes by its number:
/// `job-type-role-1` to `job-type-role-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobTypeRole(u8);

impl JobTypeRole {
    const PREFIX: &'static str = "job-type-role-";
    const COUNT: u8 = 11;

    /// The role of this column, 1 to 11.
    pub fn new(column: u8) -> Option<Self> {
        (1..=Self::COUNT).contains(&column).then_some(Self(column))
    }

    /// The column, 1 to 11.
    pub const fn column(self) -> u8 {
        self.0
    }

    /// Every role, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=Self::COUNT).map(Self)
    }
}

impl FromStr for JobTypeRole {
    type Err = AccessError;
    fn from_str(text: &str) -> Result<Self, AccessError> {
        // Compared with what `Display` writes, so that "+1" and "01" are no second spellings.
        Self::all()
            .find(|role| role.to_string() == text)
            .ok_or(AccessError::Token(crate::TokenFault::Claim("roles")))
    }
}

impl fmt::Display for JobTypeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

/// A functional component of the Self-Service Interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// BDF04, Service Audit Trails (UC_ServiceAudit_001, UC_ServiceAudit_002).
    ServiceAudit,
    /// BFD06, Meter Read Transactions (UC_MeterRead_001).
    MeterReads,
}

impl Component {
    /// The component's name, as the specification writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServiceAudit => "Service Audit Trails",
            Self::MeterReads => "Meter Read Transactions",
        }
    }

    /// The matrix of Smart Energy Code Appendix AH, clause 1.9, one letter for each Job Type Role.
    const fn matrix(self) -> &'static [u8; 11] {
        match self {
            Self::ServiceAudit => b"YYYYYYYYYYN",
            Self::MeterReads => b"YYYYYYYYYYN",
        }
    }

    /// Whether a role may use this component.
    pub fn is_open_to(self, role: JobTypeRole) -> bool {
        self.matrix()[usize::from(role.0) - 1] == b'Y'
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_reads_back_and_near_misses_do_not() {
        for role in JobTypeRole::all() {
            assert_eq!(role.to_string().parse::<JobTypeRole>().unwrap(), role);
        }
        for text in ["", "job-type-role-0", "job-type-role-12", "job-type-role-01", "job-type-role-+1", "1"] {
            assert!(text.parse::<JobTypeRole>().is_err(), "{text}");
        }
    }

    #[test]
    fn ten_roles_may_search_and_the_eleventh_may_not() {
        for component in [Component::ServiceAudit, Component::MeterReads] {
            let open: Vec<u8> = JobTypeRole::all()
                .filter(|role| component.is_open_to(*role))
                .map(JobTypeRole::column)
                .collect();
            assert_eq!(open, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "{component}");
        }
    }
}
