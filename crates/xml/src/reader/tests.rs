use super::*;

const RULES: Rules = Rules { depth_max: 8, namespaces_max: 4, plain: false };
const PLAIN: Rules = Rules { plain: true, ..RULES };

/// Namespaces and names of elements, and all text.
fn walk(text: &str, rules: Rules) -> Result<(Vec<String>, String), Why> {
    let mut reader = Reader::new(text, rules);
    let (mut names, mut kept) = (Vec::new(), String::new());
    loop {
        match reader.next_node().map_err(|fault| fault.why)? {
            Node::Open(space, start) => names.push(format!("{space}|{}", start.local_name().into_inner())),
            Node::Text(text) => kept.push_str(&text),
            Node::Character(character) => kept.push(character),
            Node::Close | Node::Declaration(_) => {}
            Node::End => return Ok((names, kept)),
        }
    }
}

#[test]
fn elements_have_their_namespaces_and_references_are_read() {
    let text = "<?xml version='1.0'?>\n<!-- c --><p:a xmlns:p='urn:p' xmlns='urn:d'>&lt;&#65;<b/><![CDATA[<x>]]>&#x42;<?pi?></p:a>\n";
    let (names, kept) = walk(text, RULES).unwrap();
    assert_eq!((names, kept.as_str()), (vec!["urn:p|a".to_owned(), "urn:d|b".to_owned()], "<A<x>B"));
    assert_eq!(walk("<a>&lt;&gt;&amp;&apos;&quot;</a>", PLAIN).unwrap().1, "<>&'\"");
}

#[test]
fn what_reaches_outside_or_blows_up_is_refused() {
    for text in [
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "<!DOCTYPE a [<!ENTITY x '&y;&y;'><!ENTITY y 'yyyy'>]><a>&x;</a>",
        "<a><!DOCTYPE b></a>",
        "<a>&x;</a>",
        "<a b='&x;'/>",
        "<a b='1' c='&lt;&x;'/>",
    ] {
        assert!(matches!(walk(text, RULES), Err(Why::Forbidden(_))), "{text}: {:?}", walk(text, RULES));
    }
    for text in ["<a><![CDATA[x]]></a>", "<?pi?><a/>", "<a><?pi?></a>", "<a/><?pi?>"] {
        assert!(walk(text, RULES).is_ok(), "{text}");
        assert!(matches!(walk(text, PLAIN), Err(Why::Forbidden(_))), "{text}: {:?}", walk(text, PLAIN));
    }
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for text in [
        "",
        " ",
        "x",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "\u{a0}<a/>",
        "<a/>&#65;",
        "<![CDATA[ ]]><a/>",
        "<a>&#xD800;</a>",
        "</a>",
        "<a",
        "<a b='<'/>",
    ] {
        assert!(matches!(walk(text, RULES), Err(Why::Malformed(_))), "{text}: {:?}", walk(text, RULES));
    }
    for text in ["<p:a/>", "<a><p:b/></a>", "<a xmlns:p='u'><p:b/><q:c/></a>"] {
        assert_eq!(walk(text, RULES), Err(Why::UndeclaredPrefix), "{text}");
    }
}

/// XML 1.0, 2.2: in text, in a CDATA section, in a tag, and written as a reference.
#[test]
fn a_character_that_xml_does_not_allow_is_refused_wherever_it_stands() {
    for character in ['\0', '\u{1}', '\u{8}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
        let number = u32::from(character);
        for text in [
            format!("<a>{character}</a>"),
            format!("<a><![CDATA[{character}]]></a>"),
            format!("<a b='{character}'/>"),
            format!("<a{character}/>"),
            format!("<a>&#{number};</a>"),
        ] {
            assert!(
                matches!(walk(&text, RULES), Err(Why::Malformed(_))),
                "{text:?}: {:?}",
                walk(&text, RULES)
            );
        }
        assert!(walk(&format!("<a b='&#x{number:x};'/>"), RULES).is_err());
    }
    assert!(walk("<a b='&#9;\u{85}'>\t\r\n\u{7f}\u{fffd}\u{10000}</a>", RULES).is_ok());
}

#[test]
fn depth_and_namespaces_have_limits() {
    let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
    assert!(walk(&nested(8), RULES).is_ok());
    assert_eq!(walk(&nested(9), RULES), Err(Why::TooDeep(8)));
    let spaces = |count: usize| {
        let declared: String = (0..count).map(|i| format!(" xmlns:p{i}='u'")).collect();
        format!("<a{declared}/>")
    };
    assert!(walk(&spaces(4), RULES).is_ok());
    assert!(walk(&spaces(5), RULES).is_err());
}

#[test]
fn a_fault_says_where() {
    let mut reader = Reader::new("<a>\u{e9}&x;</a>", RULES);
    let fault = loop {
        if let Err(fault) = reader.next_node() {
            break fault;
        }
    };
    assert_eq!(fault.position, 8);
    assert_eq!(fault.to_string(), "at byte 8: an entity that XML does not predefine is refused");
}
