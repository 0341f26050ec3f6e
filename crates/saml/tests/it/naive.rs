//! A verifier as many were written: is there a valid signature of something in the document? Then an assertion is looked for.
//!
//! It shows that an attack is one: what it believes, a careless service would have believed. It is right about digests and
//! keys, and careless about everything else: where signature, signed element and assertion stand.

use crate::it::WORLD;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bergshamra_c14n::{C14nMode, canonicalize_doc};
use bergshamra_xml::{Document, NodeId, NodeKind, NodeSet, uppsala};

/// Which assertion is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reading {
    /// The first that is a child of the root.
    FirstChild,
    /// The first anywhere.
    FirstAnywhere,
    /// The last that is a child of the root.
    LastChild,
}

/// The person that a careless service would log in.
pub(crate) fn person(xml: &str, reading: Reading) -> Option<String> {
    let tree = uppsala::parse(xml).ok()?;
    let root = tree.document_element()?;
    if !has_valid_signature(&tree, root)? {
        return None;
    }
    let is_assertion = |node: &NodeId| named(&tree, *node, "Assertion");
    let assertion = match reading {
        Reading::FirstChild => tree.children(root).into_iter().find(is_assertion),
        Reading::LastChild => tree.children(root).into_iter().rfind(is_assertion),
        Reading::FirstAnywhere => find(&tree, root, "Assertion"),
    }?;
    // Like with many a DOM, the text is the first text node.
    let subject = tree.children(assertion).into_iter().find(|child| named(&tree, *child, "Subject"))?;
    let name_id = find(&tree, subject, "NameID")?;
    tree.children(name_id).into_iter().find_map(|child| match tree.node_kind(child) {
        Some(NodeKind::Text(text)) => Some(text.to_string()),
        _ => None,
    })
}

fn has_valid_signature(tree: &Document<'_>, root: NodeId) -> Option<bool> {
    let signature = find(tree, root, "Signature")?;
    let uri = tree.element(find(tree, signature, "Reference")?)?.get_attribute("URI")?;
    let id = uri.trim_start_matches("#xpointer(id('").trim_start_matches('#').trim_end_matches("'))");
    let with_id =
        |node: &NodeId| tree.element(*node).is_some_and(|element| element.get_attribute("ID") == Some(id));
    let target = tree.descendants(root).into_iter().chain([root]).find(with_id)?;
    let mut covered = NodeSet::tree_without_comments(target, tree);
    for child in tree.children(target).into_iter().filter(|child| named(tree, *child, "Signature")) {
        covered.remove_id(child);
        tree.descendants(child).into_iter().for_each(|node| covered.remove_id(node));
    }
    let canonical = canonicalize_doc::<&str>(tree, C14nMode::Exclusive, Some(&covered), &[]).ok()?;
    let digest = STANDARD.decode(text(tree, signature, "DigestValue")?).ok()?;
    let info = NodeSet::tree_without_comments(find(tree, signature, "SignedInfo")?, tree);
    let info = canonicalize_doc::<&str>(tree, C14nMode::Exclusive, Some(&info), &[]).ok()?;
    let value = STANDARD.decode(text(tree, signature, "SignatureValue")?).ok()?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, WORLD.rsa.public_key());
    let digested = digest::digest(&digest::SHA256, &canonical).as_ref() == digest;
    Some(digested && key.verify(&info, &value).is_ok())
}

fn named(tree: &Document<'_>, node: NodeId, name: &str) -> bool {
    tree.element(node).is_some_and(|element| &*element.name.local_name == name)
}

fn find(tree: &Document<'_>, within: NodeId, name: &str) -> Option<NodeId> {
    tree.descendants(within).into_iter().find(|node| named(tree, *node, name))
}

fn text<'a>(tree: &'a Document<'_>, within: NodeId, name: &str) -> Option<&'a str> {
    tree.element_text(find(tree, within, name)?)
}

#[test]
fn the_careless_service_believes_honest_answers_and_notices_crude_lies() {
    let honest = crate::it::honest();
    assert_eq!(person(&honest, Reading::FirstChild).as_deref(), Some("person-17"));
    assert_eq!(person(&honest.replace("person-17", "admin"), Reading::FirstChild), None);
    assert_eq!(person(&crate::it::Answer::default().response(&WORLD.stranger), Reading::FirstChild), None);
}
