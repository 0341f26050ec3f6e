use super::*;

#[test]
fn text_comes_in_one_piece_with_its_references_read() {
    let root = read("<a>&lt;b&gt; &#65;&#x42; &amp;&apos;&quot;\r\nc</a>", Comments::Refused).unwrap();
    assert_eq!(root.text().unwrap(), "<b> AB &'\"\nc");
    let root = read("<a>x<!-- y -->z</a>", Comments::Skipped).unwrap();
    assert_eq!(root.text().unwrap(), "xz");
}

#[test]
fn names_and_attributes_are_resolved() {
    let text = r#"<p:a xmlns:p="urn:x:p" xmlns="urn:x:d" b="1" p:b="2" xml:lang="en"><c/><p:c xmlns:p="urn:x:q"/></p:a>"#;
    let root = read(text, Comments::Refused).unwrap();
    assert!(root.is("urn:x:p", "a"));
    assert_eq!(root.attribute("b"), Some("1"));
    assert_eq!(root.attribute("lang"), None);
    let spaces: Vec<_> = root.attributes.iter().map(|attribute| attribute.space.as_str()).collect();
    assert_eq!(spaces, ["", "urn:x:p", names::XML]);
    assert!(root.children[0].is("urn:x:d", "c"));
    assert!(root.children[1].is("urn:x:q", "c"));
    assert!(root.only_child("urn:x:d", "c").is_some());
}

#[test]
fn one_child_is_not_two() {
    let root = read("<a><b/><b/><c/></a>", Comments::Refused).unwrap();
    assert!(root.only_child("", "b").is_none());
    assert!(root.only_child("", "c").is_some());
    assert!(root.only_child("", "d").is_none());
}

#[test]
fn text_and_elements_do_not_mix() {
    let root = read("<a> <b/>\n</a>", Comments::Refused).unwrap();
    assert!(root.without_text().is_ok());
    assert_eq!(root.text(), Err(XmlFault::Mixed));
    let root = read("<a>x<b/></a>", Comments::Refused).unwrap();
    assert_eq!(root.without_text().unwrap_err(), XmlFault::Mixed);
}

#[test]
fn the_depth_has_a_limit() {
    let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
    assert!(read(&nested(XML_DEPTH_MAX), Comments::Refused).is_ok());
    let deeper = read(&nested(XML_DEPTH_MAX + 1), Comments::Refused);
    assert_eq!(deeper.unwrap_err(), XmlFault::TooMany("levels"));
}

#[test]
fn attributes_and_elements_have_limits() {
    let attributes = |count: usize| {
        let attributes: String = (0..count).map(|number| format!(" a{number}=''")).collect();
        read(&format!("<a{attributes}/>"), Comments::Refused)
    };
    assert!(attributes(XML_ATTRIBUTES_MAX).is_ok());
    assert_eq!(attributes(XML_ATTRIBUTES_MAX + 1).unwrap_err(), XmlFault::TooMany("attributes"));
    let elements = |count: usize| read(&format!("<a>{}</a>", "<b/>".repeat(count - 1)), Comments::Refused);
    assert!(elements(XML_ELEMENTS_MAX).is_ok());
    assert_eq!(elements(XML_ELEMENTS_MAX + 1).unwrap_err(), XmlFault::TooMany("elements"));
}
