//! Job Type Roles, functional components, and which role may use which component.
//!
//! The matrix is data: `schemas/job_type_roles.toml`, after Smart Energy Code Appendix AH, clause 1.9. What the roles are
//! called may be changed by configuration; what they may use may not, since that is the Code's to say.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The matrix as the Code has it.
const BUILT_IN: &str = include_str!("../../../schemas/job_type_roles.toml");

/// Longest name of a role in bytes: tokens repeat it.
const ROLE_NAME_BYTES_MAX: usize = 64;

/// One of the eleven Job Type Roles of Smart Energy Code Appendix AH, clause 1.9, by its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct JobTypeRole(u8);

impl TryFrom<u8> for JobTypeRole {
    type Error = &'static str;

    fn try_from(column: u8) -> Result<Self, &'static str> {
        Self::new(column).ok_or("the columns of the role matrix are 1 to 11")
    }
}

impl From<JobTypeRole> for u8 {
    fn from(role: JobTypeRole) -> Self {
        role.column()
    }
}

impl JobTypeRole {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// The role of this column, 1 to 11.
    pub fn new(column: u8) -> Option<Self> {
        (1..=11).contains(&column).then_some(Self(column))
    }

    /// The column, 1 to 11.
    pub const fn column(self) -> u8 {
        self.0
    }

    /// Every role, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=11).map(Self)
    }

    fn index(self) -> usize {
        usize::from(self.0 - 1)
    }
}

macro_rules! components {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)+) => {
        /// A functional component of the Self-Service Interface: a row of the matrix.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Component { $($(#[$doc])* $variant,)+ }

        impl Component {
            /// Every component, in the order of the matrix.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The component's name, as the specification writes it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

components! {
    /// BFD01: UC_RaiseSMI_001 to _004.
    RaiseIncidents "Raise service management incidents",
    /// BFD01: UC_UpdateSMI_001.
    UpdateIncidents "Update service management incidents",
    /// BFD01: UC_ViewSMI_001, _002.
    ViewIncidents "View service management incidents",
    /// BFD01: UC_ProblemManagement_001, _002.
    Problems "Problem management",
    /// BFD02: UC_Inventory_001, _002.
    Inventory "Smart metering inventory",
    /// BFD03: UC_ServiceDashboard_001.
    ServiceStatus "DCC service status",
    /// BFD04: UC_ServiceAudit_001, _002.
    ServiceAudit "Service audit trails",
    /// BFD05: UC_Schedule_001 to _003.
    ScheduleOfChange "Forward schedule of change",
    /// BFD06: UC_MeterRead_001.
    MeterReads "Meter read transactions",
    /// BFD07: UC_CSPCoverage_001, _002.
    NetworkCoverage "SM WAN network coverage",
    /// BFD08: UC_ServiceAlerts_001, _002.
    ServiceAlerts "DCC service alerts",
    /// BFD09: UC_ServiceCatalogue_001 to _003.
    ServiceCatalogue "Service catalogue publication and call off",
    /// BFD10: UC_HubStatus_001, _002.
    HubStatus "Communications Hub availability and diagnostics",
    /// BFD11: UC_Reports_001.
    Reporting "Reporting",
    /// BFD12: UC_KnowledgeManagement_001.
    Knowledge "Knowledge management",
    /// BFD12: UC_FAQ_001.
    Faqs "FAQs",
    /// BFD12: UC_Manuals_001.
    Manuals "DCC user manuals",
    /// BFD12: UC_Search_001.
    Search "Search",
    /// BFD13: UC_CSPOMS_001.
    Ordering "Forecasting and ordering of Communications Hubs and auxiliary equipment",
    /// BFD14: UC_Login_001.
    LogIn "Log in",
    /// BFD14: UC_OrgManager_001 to _003.
    AccountManagement "User account management",
    /// BFD14: UC_Profile_001.
    Profile "User profile information",
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of functional components.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Components(u32);

impl Components {
    /// Whether a component is among them.
    pub const fn contains(self, component: Component) -> bool {
        self.0 & (1 << component as u32) != 0
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each of them, in the order of the matrix.
    pub fn iter(self) -> impl Iterator<Item = Component> {
        Component::ALL.iter().copied().filter(move |component| self.contains(*component))
    }

    /// As a number of which each component has a bit, for processes of the same build.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    const fn insert(&mut self, component: Component) {
        self.0 |= 1 << component as u32;
    }
}

impl fmt::Debug for Components {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Which role may use which component, and what each role is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleMatrix {
    /// By column.
    names: Vec<String>,
    /// By column.
    open: [Components; JobTypeRole::COUNT],
}

/// What is wrong with a matrix, or with new names for its roles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// Not the TOML that was expected.
    #[error("read the TOML: {0}")]
    Toml(String),
    /// Not eleven roles.
    #[error("there are 11 Job Type Roles; found {found}")]
    Roles {
        /// How many there are.
        found: usize,
    },
    /// A name that no role can have.
    #[error(
        "a role's name has 1 to 64 characters without spaces, commas and control characters; found {name:?}"
    )]
    RoleName {
        /// The name.
        name: String,
    },
    /// Two roles of one name.
    #[error("two roles are called {name}")]
    SameName {
        /// The name.
        name: String,
    },
    /// New name for a role that is none.
    #[error("there is no role {name} to call otherwise")]
    NoRole {
        /// Its name.
        name: String,
    },
    /// A row for a component that is none.
    #[error("there is no functional component {name:?}")]
    NoComponent {
        /// Its name.
        name: String,
    },
    /// A component with two rows.
    #[error("{component} has two rows")]
    SameComponent {
        /// The component.
        component: Component,
    },
    /// A component without a row.
    #[error("{component} has no row")]
    NoRow {
        /// The component.
        component: Component,
    },
    /// A row that is not eleven times Y or N.
    #[error("the row of {component} is not eleven times Y or N; found {found:?}")]
    Row {
        /// The component.
        component: Component,
        /// The row.
        found: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatrixFile {
    roles: Vec<String>,
    component: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[expect(dead_code, reason = "for people: which use cases a component holds")]
    use_cases: Vec<String>,
    open_to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamesFile {
    names: BTreeMap<String, String>,
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, MatrixError> {
    toml::from_str(text).map_err(|error| MatrixError::Toml(error.message().to_owned()))
}

impl RoleMatrix {
    /// The matrix as the Code has it.
    pub fn built_in() -> Result<Self, MatrixError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a matrix.
    fn parse(text: &str) -> Result<Self, MatrixError> {
        let file: MatrixFile = read(text)?;
        check_names(&file.roles)?;
        let mut matrix = Self { names: file.roles, open: Default::default() };
        let mut seen = Components::default();
        for row in file.component {
            let component = Component::ALL.iter().copied().find(|component| component.name() == row.name);
            let component = component.ok_or(MatrixError::NoComponent { name: row.name })?;
            if seen.contains(component) {
                return Err(MatrixError::SameComponent { component });
            }
            seen.insert(component);
            let letters = row.open_to.as_bytes();
            if letters.len() != JobTypeRole::COUNT || !letters.iter().all(|letter| b"YN".contains(letter)) {
                return Err(MatrixError::Row { component, found: row.open_to });
            }
            for (open, letter) in matrix.open.iter_mut().zip(letters) {
                if *letter == b'Y' {
                    open.insert(component);
                }
            }
        }
        match Component::ALL.iter().find(|component| !seen.contains(**component)) {
            Some(component) => Err(MatrixError::NoRow { component: *component }),
            None => Ok(matrix),
        }
    }

    /// The same matrix with other names for some roles: a table `[names]` of the names that they have here and those that
    /// tokens and assertions use.
    pub fn renamed(&self, text: &str) -> Result<Self, MatrixError> {
        let mut names = self.names.clone();
        for (old, new) in read::<NamesFile>(text)?.names {
            let role = self.role(&old).ok_or(MatrixError::NoRole { name: old })?;
            names[role.index()] = new;
        }
        check_names(&names)?;
        Ok(Self { names, open: self.open })
    }

    /// The role of a name.
    pub fn role(&self, name: &str) -> Option<JobTypeRole> {
        JobTypeRole::all().find(|role| self.name(*role) == name)
    }

    /// What a role is called.
    pub fn name(&self, role: JobTypeRole) -> &str {
        &self.names[role.index()]
    }

    /// What a role may use.
    pub fn open_to(&self, role: JobTypeRole) -> Components {
        self.open[role.index()]
    }
}

fn check_names(names: &[String]) -> Result<(), MatrixError> {
    if names.len() != JobTypeRole::COUNT {
        return Err(MatrixError::Roles { found: names.len() });
    }
    let is_name = |name: &String| {
        // Assertions separate names by commas (clause 1.4.4).
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == ',';
        (1..=ROLE_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(odd)
    };
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        return Err(MatrixError::RoleName { name: name.clone() });
    }
    match (1..).zip(names).find(|(next, name)| names[*next..].contains(name)) {
        Some((_, name)) => Err(MatrixError::SameName { name: name.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
