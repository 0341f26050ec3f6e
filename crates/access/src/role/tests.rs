use super::*;

/// Written by hand from the table of the specification, use case by use case and not from the file of the matrix: for each
/// of its boxes, the columns that have a Y.
const TRUTH: &[(Component, &[u8])] = &[
    (Component::RaiseIncidents, &[1, 2, 3, 7, 11]),
    (Component::UpdateIncidents, &[1, 2, 3, 7, 11]),
    (Component::ViewIncidents, &[1, 2, 3, 4, 7, 8, 10, 11]),
    (Component::Problems, &[1, 2, 3, 4, 7, 8, 10, 11]),
    (Component::Inventory, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (Component::ServiceStatus, &[1, 2, 3, 4, 5, 7, 8]),
    (Component::ServiceAudit, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (Component::ScheduleOfChange, &[1, 2, 4, 5, 7, 8]),
    (Component::MeterReads, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    (Component::NetworkCoverage, &[1, 2, 4, 5, 6, 7, 8, 9, 11]),
    (Component::ServiceAlerts, &[1, 2, 4, 5, 7, 8]),
    (Component::ServiceCatalogue, &[1, 2, 4, 9, 11]),
    (Component::HubStatus, &[1, 2, 4, 5, 7, 8, 11]),
    (Component::Reporting, &[1, 2, 4, 6, 10, 11]),
    (Component::Knowledge, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (Component::Faqs, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (Component::Manuals, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (Component::Search, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (Component::Ordering, &[1, 2, 6, 9, 11]),
    (Component::LogIn, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (Component::AccountManagement, &[2]),
    (Component::Profile, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
];

#[test]
fn the_matrix_is_the_table_of_the_specification() {
    let matrix = RoleMatrix::built_in().unwrap();
    assert_eq!(TRUTH.len(), Component::ALL.len());
    for (component, columns) in TRUTH {
        let open = JobTypeRole::all().filter(|role| matrix.open_to(*role).contains(*component));
        assert_eq!(open.map(JobTypeRole::column).collect::<Vec<_>>(), *columns, "{component}");
    }
}

#[test]
fn the_second_role_is_the_administration_users_and_the_others_go_by_number() {
    let matrix = RoleMatrix::built_in().unwrap();
    let names: Vec<&str> = JobTypeRole::all().map(|role| matrix.name(role)).collect();
    assert_eq!(names[..3], ["role-01", "administration-user", "role-03"]);
    assert_eq!(
        names[3..],
        ["role-04", "role-05", "role-06", "role-07", "role-08", "role-09", "role-10", "role-11"]
    );
    for role in JobTypeRole::all() {
        assert_eq!(matrix.role(matrix.name(role)), Some(role));
    }
    for near in ["", "role-1", "role-02", "role-12", "ROLE-01", "job-type-role-1", " role-01"] {
        assert_eq!(matrix.role(near), None, "{near}");
    }
    assert_eq!([JobTypeRole::new(0), JobTypeRole::new(12)], [None, None]);
}

#[test]
fn several_roles_may_use_what_each_may() {
    let matrix = RoleMatrix::built_in().unwrap();
    let of = |column| matrix.open_to(JobTypeRole::new(column).unwrap());
    let both = of(3).union(of(9));
    for component in Component::ALL {
        assert_eq!(both.contains(*component), of(3).contains(*component) || of(9).contains(*component));
    }
    assert_eq!(both.iter().count(), Component::ALL.iter().filter(|c| both.contains(**c)).count());
    assert_eq!(Components::default().iter().count(), 0);
}

#[test]
fn roles_may_be_called_otherwise_and_may_use_no_more_for_it() {
    let matrix = RoleMatrix::built_in().unwrap();
    let renamed = matrix.renamed("[names]\nrole-01 = \"field-engineer\"\nrole-03 = \"role-01\"\n").unwrap();
    assert_eq!(renamed.role("field-engineer"), JobTypeRole::new(1));
    assert_eq!(renamed.role("role-01"), JobTypeRole::new(3), "the old name is gone, and may be another's");
    assert_eq!(renamed.open, matrix.open);
    for (text, expected) in [
        ("[names]\nrole-12 = \"x\"", MatrixError::NoRole { name: "role-12".into() }),
        ("[names]\nrole-01 = \"role-03\"", MatrixError::SameName { name: "role-03".into() }),
        ("[names]\nrole-01 = \"\"", MatrixError::RoleName { name: String::new() }),
        ("[names]\nrole-01 = \"a,b\"", MatrixError::RoleName { name: "a,b".into() }),
        ("[names]\nrole-01 = \"two words\"", MatrixError::RoleName { name: "two words".into() }),
    ] {
        assert_eq!(matrix.renamed(text).unwrap_err(), expected, "{text}");
    }
    for text in ["", "names = 1", "[names]\nrole-01 = 1", "[names]\n[rights]\nrole-11 = \"all\"", BUILT_IN] {
        assert!(matches!(matrix.renamed(text), Err(MatrixError::Toml(_))), "{text}");
    }
}

#[test]
fn a_matrix_that_is_not_whole_is_refused() {
    let without = |part: &str, by: &str| {
        assert!(BUILT_IN.contains(part), "{part}");
        RoleMatrix::parse(&BUILT_IN.replacen(part, by, 1)).unwrap_err()
    };
    let reporting = Component::Reporting;
    let row = "\"YYNYNYNNNYY\"";
    let found = |text: &str| MatrixError::Row { component: reporting, found: text.into() };
    assert_eq!(without(row, "\"YYNYNYNNNY\""), found("YYNYNYNNNY"));
    assert_eq!(without(row, "\"YYNYNYNNNYyY\""), found("YYNYNYNNNYyY"));
    assert_eq!(without("\"role-11\",", ""), MatrixError::Roles { found: 10 });
    assert_eq!(without("\"role-11\"", "\"role-10\""), MatrixError::SameName { name: "role-10".into() });
    assert_eq!(without("\"FAQs\"", "\"Faqs\""), MatrixError::NoComponent { name: "Faqs".into() });
    assert_eq!(without("\"FAQs\"", "\"Reporting\""), MatrixError::SameComponent { component: reporting });
    let last = BUILT_IN.rfind("[[component]]").unwrap();
    let short = RoleMatrix::parse(&BUILT_IN[..last]).unwrap_err();
    assert_eq!(short, MatrixError::NoRow { component: Component::Profile });
    assert!(matches!(RoleMatrix::parse("roles = 1"), Err(MatrixError::Toml(_))));
}
